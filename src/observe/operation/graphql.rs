//! GraphQL documents (specification of October 2021): which operation runs, and how much it asks
//! for. A tokenizer and a parser without recursion over selection sets; of a text that ends anywhere
//! only what is certain is said.

use std::collections::BTreeMap;

use compact_str::CompactString;

use crate::exchange::{MAX_LISTED, MAX_LISTED_NAME, MAX_NAME, Operation, OperationKind};

/// Fragments and spreads that are followed: real documents have some dozens. Bounds recursion over
/// fragments, and the work that a document of nothing else makes.
const MAX_FRAGMENTS: usize = 128;
const MAX_SPREADS: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Punct(u8),
    Spread,
    /// A string or a number.
    Literal,
}

/// Why there is no next token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    End,
    /// The text ends here, the document may not.
    Cut,
    Bad,
}

type Next<T> = Result<T, Stop>;

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    whole: bool,
    peeked: Option<Next<Token<'a>>>,
}

impl<'a> Lexer<'a> {
    fn peek(&mut self) -> Next<Token<'a>> {
        if let Some(peeked) = self.peeked {
            return peeked;
        }
        let token = self.read();
        self.peeked = Some(token);
        token
    }

    fn next(&mut self) -> Next<Token<'a>> {
        let token = self.peek();
        // What ended stays so.
        if token.is_ok() {
            self.peeked = None;
        }
        token
    }

    fn eat(&mut self, punct: u8) -> Next<bool> {
        let is = self.peek()? == Token::Punct(punct);
        if is {
            self.peeked = None;
        }
        Ok(is)
    }

    fn name(&mut self) -> Next<&'a str> {
        match self.next()? {
            Token::Name(name) => Ok(name),
            _ => Err(Stop::Bad),
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// White space, commas, comments and the byte order mark (section 2.1).
    fn ignored(&mut self) {
        loop {
            match self.rest() {
                [b' ' | b'\t' | b'\r' | b'\n' | b',', ..] => self.at += 1,
                [0xef, 0xbb, 0xbf, ..] => self.at += 3,
                [b'#', rest @ ..] => {
                    let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                    self.at += 1 + end;
                }
                _ => return,
            }
        }
    }

    fn over(&self) -> Stop {
        if self.whole { Stop::End } else { Stop::Cut }
    }

    fn read(&mut self) -> Next<Token<'a>> {
        self.ignored();
        let rest = self.rest();
        let Some(first) = rest.first() else {
            return Err(self.over());
        };
        match first {
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                let word = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
                let len = rest.iter().take_while(word).count();
                if len == rest.len() && !self.whole {
                    return Err(Stop::Cut);
                }
                let name = &self.text[self.at..self.at + len];
                self.at += len;
                Ok(Token::Name(name))
            }
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|'
            | b'}' => {
                self.at += 1;
                Ok(Token::Punct(*first))
            }
            b'.' if rest.starts_with(b"...") => {
                self.at += 3;
                Ok(Token::Spread)
            }
            b'.' if b"...".starts_with(rest) => Err(if self.whole { Stop::Bad } else { Stop::Cut }),
            b'-' | b'0'..=b'9' => {
                let digit = |b: &&u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
                self.at += rest.iter().take_while(digit).count();
                Ok(Token::Literal)
            }
            b'"' => self.string(),
            _ => Err(Stop::Bad),
        }
    }

    fn string(&mut self) -> Next<Token<'a>> {
        let rest = self.rest();
        let (mut at, block) = match rest {
            [b'"', b'"', b'"', ..] => (3, true),
            _ => (1, false),
        };
        while let Some(b) = rest.get(at) {
            match b {
                b'"' if !block => {
                    self.at += at + 1;
                    return Ok(Token::Literal);
                }
                b'"' if rest[at..].starts_with(b"\"\"\"") => {
                    self.at += at + 3;
                    return Ok(Token::Literal);
                }
                b'\\' if block && rest[at..].starts_with(b"\\\"\"\"") => at += 4,
                b'\\' if !block => at += 2,
                b'\n' | b'\r' if !block => return Err(Stop::Bad),
                _ => at += 1,
            }
        }
        Err(if self.whole { Stop::Bad } else { Stop::Cut })
    }
}

/// Of the root's selection set.
#[derive(Clone, Copy, Debug)]
enum Top<'a> {
    Field(&'a str),
    Spread(&'a str),
}

#[derive(Debug, Default)]
struct Definition<'a> {
    /// `query`, `mutation`, `subscription` or `fragment`.
    keyword: &'static str,
    name: Option<&'a str>,
    top: Vec<Top<'a>>,
    spreads: Vec<(&'a str, u32)>,
    depth: u32,
    aliases: u32,
    whole: bool,
}

/// A document with at least one operation.
#[derive(Debug)]
pub(super) struct Document<'a> {
    operations: Vec<Definition<'a>>,
    fragments: BTreeMap<&'a str, Definition<'a>>,
    cut: bool,
}

impl<'a> Document<'a> {
    /// `None`: it is none. Not `whole`: more may follow.
    pub(super) fn parse(text: &'a str, whole: bool) -> Option<Self> {
        let mut document = Self {
            operations: Vec::new(),
            fragments: BTreeMap::new(),
            cut: false,
        };
        let mut lexer = Lexer {
            text,
            at: 0,
            whole,
            peeked: None,
        };
        loop {
            match document.definition(&mut lexer) {
                Ok(()) => {}
                Err(Stop::End) => break,
                Err(Stop::Cut) => {
                    document.cut = true;
                    break;
                }
                Err(Stop::Bad) => return None,
            }
        }
        (!document.operations.is_empty()).then_some(document)
    }

    /// Section 2.2. `End` between definitions is the document's.
    fn definition(&mut self, lexer: &mut Lexer<'a>) -> Next<()> {
        let mut first = lexer.next()?;
        // What an end inside a definition is.
        let inside = |stop| if stop == Stop::End { Stop::Bad } else { stop };
        if first == Token::Literal {
            first = lexer.next().map_err(inside)?;
        }
        let keyword = match first {
            Token::Punct(b'{') | Token::Name("query") => "query",
            Token::Name("mutation") => "mutation",
            Token::Name("subscription") => "subscription",
            Token::Name("fragment") => "fragment",
            _ => return Err(Stop::Bad),
        };
        let mut d = Definition {
            keyword,
            ..Definition::default()
        };
        let shorthand = first == Token::Punct(b'{');
        if !shorthand {
            if let Token::Name(name) = lexer.peek().map_err(inside)? {
                d.name = Some(name);
                let _ = lexer.next();
            }
            if d.keyword == "fragment"
                && (d.name.is_none() || lexer.name().map_err(inside)? != "on")
            {
                return Err(Stop::Bad);
            }
        }
        let read = Self::rest_of(&mut d, lexer, shorthand).map_err(inside);
        d.whole = read.is_ok();
        match d.name {
            Some(name) if d.keyword == "fragment" => self.keep_fragment(name, d),
            _ if read != Err(Stop::Bad) => self.operations.push(d),
            _ => {}
        }
        read
    }

    fn keep_fragment(&mut self, name: &'a str, d: Definition<'a>) {
        if self.fragments.len() < MAX_FRAGMENTS {
            self.fragments.entry(name).or_insert(d);
        }
    }

    /// From behind the name.
    fn rest_of(d: &mut Definition<'a>, lexer: &mut Lexer<'a>, shorthand: bool) -> Next<()> {
        if !shorthand {
            if d.keyword == "fragment" {
                lexer.name()?;
            }
            tail(lexer)?;
            if !lexer.eat(b'{')? {
                return Err(Stop::Bad);
            }
        }
        selections(d, lexer)
    }

    /// The operation that runs: the one that is named, or the only one.
    fn choose(&self, name: Option<&str>) -> Option<&Definition<'a>> {
        match name {
            Some(name) => self.operations.iter().find(|d| d.name == Some(name)),
            None if self.cut => None,
            None => self
                .operations
                .first()
                .filter(|_| self.operations.len() == 1),
        }
    }

    /// What the record says of it; without a name where it cannot be told which operation runs.
    pub(super) fn operation(&self, name: Option<&str>) -> Operation {
        let Some(chosen) = self.choose(name) else {
            return Operation::new(OperationKind::Graphql, None);
        };
        let mut walk = Walk::new(&self.fragments);
        walk.top(chosen);
        let depth = walk.depth(chosen);
        let named = match chosen.name {
            Some(name) => Some(format!("{} {name}", chosen.keyword)),
            None if self.cut || !chosen.whole => None,
            None => Some(anonymous(chosen.keyword, &walk.fields)),
        };
        let mut operation = Operation::new(OperationKind::Graphql, named.map(Into::into));
        let small = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        operation.depth = Some(small(depth));
        operation.aliases = Some(small(walk.aliases));
        operation.introspection = walk.introspection;
        let listed = walk.fields.iter().filter(|f| f.len() <= MAX_LISTED_NAME);
        operation.fields = listed
            .take(MAX_LISTED)
            .map(|f| CompactString::from(*f))
            .collect();
        operation
    }
}

/// `query {user items}`: named by its fields, as far as they fit.
fn anonymous(keyword: &str, fields: &[&str]) -> String {
    let mut out = format!("{keyword} {{");
    for (i, field) in fields.iter().enumerate() {
        if i >= MAX_LISTED || out.len() + field.len() + " ...}".len() > MAX_NAME {
            out.push_str(if i > 0 { " ..." } else { "..." });
            break;
        }
        if i > 0 {
            out.push(' ');
        }
        out.push_str(field);
    }
    out.push('}');
    out
}

/// Arguments or variables, and directives: passed over.
fn tail(lexer: &mut Lexer<'_>) -> Next<()> {
    loop {
        if lexer.eat(b'@')? {
            lexer.name()?;
        } else if lexer.eat(b'(')? {
            let mut open = 1_usize;
            while open > 0 {
                match lexer.next()? {
                    Token::Punct(b'(' | b'[' | b'{') => open += 1,
                    Token::Punct(b')' | b']' | b'}') => open -= 1,
                    _ => {}
                }
            }
        } else {
            return Ok(());
        }
    }
}

/// A selection set and all inside it (section 2.4); its brace was read.
fn selections<'a>(d: &mut Definition<'a>, lexer: &mut Lexer<'a>) -> Next<()> {
    // Open sets; those of inline fragments add no depth. As long as the text at most.
    let mut open = vec![true];
    let mut depth = 1_u32;
    let mut empty = true;
    d.depth = 1;
    while !open.is_empty() {
        let token = lexer.next()?;
        if token == Token::Punct(b'}') {
            if empty {
                return Err(Stop::Bad);
            }
            depth -= u32::from(open.pop() == Some(true));
            continue;
        }
        empty = false;
        match token {
            Token::Name(first) => {
                let renamed = lexer.eat(b':')?;
                d.aliases += u32::from(renamed);
                let field = if renamed { lexer.name()? } else { first };
                if depth == 1 {
                    push(&mut d.top, Top::Field(field));
                }
                tail(lexer)?;
                if lexer.eat(b'{')? {
                    open.push(true);
                    depth += 1;
                    d.depth = d.depth.max(depth);
                    empty = true;
                }
            }
            Token::Spread => {
                let name = match lexer.peek()? {
                    Token::Name(name) => {
                        let _ = lexer.next();
                        Some(name)
                    }
                    _ => None,
                };
                if let Some(name) = name.filter(|n| *n != "on") {
                    if d.spreads.len() < MAX_SPREADS {
                        d.spreads.push((name, depth));
                    }
                    if depth == 1 {
                        push(&mut d.top, Top::Spread(name));
                    }
                    tail(lexer)?;
                    continue;
                }
                if name.is_some() {
                    lexer.name()?;
                }
                tail(lexer)?;
                if !lexer.eat(b'{')? {
                    return Err(Stop::Bad);
                }
                open.push(false);
                empty = true;
            }
            _ => return Err(Stop::Bad),
        }
    }
    Ok(())
}

fn push<'a>(top: &mut Vec<Top<'a>>, new: Top<'a>) {
    if top.len() < MAX_SPREADS {
        top.push(new);
    }
}

/// Follows fragments, each once.
struct Walk<'d, 'a> {
    fragments: &'d BTreeMap<&'a str, Definition<'a>>,
    /// Depth of a fragment; `None` while it is being told: a circle ends there.
    known: BTreeMap<&'a str, Option<u32>>,
    passed: BTreeMap<&'a str, ()>,
    fields: Vec<&'a str>,
    introspection: bool,
    aliases: u32,
}

impl<'d, 'a> Walk<'d, 'a> {
    fn new(fragments: &'d BTreeMap<&'a str, Definition<'a>>) -> Self {
        Self {
            fragments,
            known: BTreeMap::new(),
            passed: BTreeMap::new(),
            fields: Vec::new(),
            introspection: false,
            aliases: 0,
        }
    }

    /// Recursion is as deep as there are fragments: [`MAX_FRAGMENTS`].
    fn depth(&mut self, d: &Definition<'a>) -> u32 {
        self.aliases = self.aliases.saturating_add(d.aliases);
        let mut deepest = d.depth;
        for (name, at) in &d.spreads {
            let below = match self.known.get(name) {
                Some(known) => known.unwrap_or(0),
                None => match self.fragments.get(name) {
                    Some(fragment) => {
                        self.known.insert(name, None);
                        let depth = self.depth(fragment);
                        self.known.insert(name, Some(depth));
                        depth
                    }
                    None => 0,
                },
            };
            // A fragment's own set is the one that it is spread into.
            deepest = deepest.max((at + below).saturating_sub(1));
        }
        deepest
    }

    fn top(&mut self, d: &Definition<'a>) {
        for top in &d.top {
            match top {
                Top::Field(field) => {
                    self.introspection |= matches!(*field, "__schema" | "__type");
                    if self.fields.len() <= MAX_LISTED && !self.fields.contains(field) {
                        self.fields.push(field);
                    }
                }
                Top::Spread(name) => {
                    if let Some(fragment) = self.fragments.get(name)
                        && self.passed.insert(name, ()).is_none()
                    {
                        self.top(fragment);
                    }
                }
            }
        }
    }
}
