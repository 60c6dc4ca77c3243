//! `apitap user` and `apitap token`: who may come in, from the machine itself. They work beside a
//! running daemon, which takes what they did within a second or so, its line of the audit, too.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Subcommand;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::summary::plain;
use crate::access::{Accounts, By, Change, Password, Record, Role, Secret, check_name};
use crate::alert::wall;
use crate::config::{Config, Span};
use crate::store::AccountsFile;
use crate::time::Timestamp;

/// For how long a token is good where nothing is said.
const EXPIRES: &str = "90d";

/// Where the accounts are.
#[derive(clap::Args)]
struct Place {
    /// Settings; where none is named, /etc/apitap/apitap.toml if it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State directory; in place of the config's
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    what: User,
}

#[derive(Subcommand)]
enum User {
    /// A new user; the password is asked for, or read from standard input
    Add {
        name: String,
        /// viewer reads, analyst works on alerts and the inventory, admin changes who comes in
        #[arg(long)]
        role: Role,
        #[command(flatten)]
        place: Place,
    },
    /// Users and their roles
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Another role
    Role {
        name: String,
        role: Role,
        #[command(flatten)]
        place: Place,
    },
    /// A new password, asked for or read from standard input; ends the user's sessions
    Password {
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Nobody signs in under the name any more
    Remove {
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(clap::Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    what: Token,
}

#[derive(Subcommand)]
enum Token {
    /// A new API token, printed once
    Add {
        name: String,
        #[arg(long)]
        role: Role,
        /// For how long it is good: `90d`, `12h`, or `never`
        #[arg(long, default_value = EXPIRES)]
        expires: String,
        #[command(flatten)]
        place: Place,
    },
    /// Tokens, when they were used last, and when they expire
    List {
        #[command(flatten)]
        place: Place,
    },
    /// The token, by its name or id, opens nothing any more
    Revoke {
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

pub(super) fn user(args: UserArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        User::Add { name, role, place } => {
            // Before anybody thinks of a password.
            check_name(&name).map_err(anyhow::Error::msg)?;
            let hash = new_password(&name)?;
            let said = format!("user {name} ({role}) is added");
            place.change(Change::AddUser { name, role, hash }, &said)
        }
        User::Role { name, role, place } => {
            let said = format!("user {} is {role} now", plain(&name));
            place.change(Change::SetRole { name, role }, &said)
        }
        User::Password { name, place } => {
            if !place.file()?.read()?.users.contains_key(&name) {
                bail!("there is no user `{}`", plain(&name));
            }
            let hash = new_password(&name)?;
            let said = format!("user {name} has a new password; older sessions have ended");
            place.change(Change::SetPassword { name, hash }, &said)
        }
        User::Remove { name, place } => {
            let said = format!("user {} is removed", plain(&name));
            place.change(Change::RemoveUser { name }, &said)
        }
        User::List { place } => {
            let all = place.file()?.read()?;
            let rows = all.users.iter().map(|(name, user)| {
                let state = if user.disabled { "disabled" } else { "" };
                [
                    name.clone(),
                    user.role.to_string(),
                    day(user.created),
                    state.into(),
                ]
            });
            table(["USER", "ROLE", "SINCE", ""], rows.collect())
        }
    }
}

pub(super) fn token(args: TokenArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        Token::Add {
            name,
            role,
            expires,
            place,
        } => {
            let secret = Secret::token().map_err(anyhow::Error::msg)?;
            let expires = match expires.as_str() {
                "never" => None,
                text => Some(wall() + span(text)?),
            };
            let change = Change::AddToken {
                name,
                role,
                digest: secret.digest(),
                expires,
                by: os_user(),
            };
            let until = expires.map_or_else(
                || "does not expire".into(),
                |at| format!("is good until {}", day(at)),
            );
            let done = place.change(change, &format!("it is shown this once, and {until}"))?;
            writeln!(std::io::stdout(), "{}", secret.reveal())?;
            Ok(done)
        }
        Token::Revoke { name, place } => {
            let said = format!("token {} is revoked", plain(&name));
            place.change(Change::RevokeToken { id: name }, &said)
        }
        Token::List { place } => {
            let all = place.file()?.read()?;
            let rows = all.tokens.iter().map(|(id, token)| {
                let used = token.used.map_or_else(|| "never".into(), day);
                let expires = token.expires.map_or_else(|| "never".into(), day);
                let name = token.name.clone();
                [name, id.clone(), token.role.to_string(), used, expires]
            });
            table(["TOKEN", "ID", "ROLE", "USED", "EXPIRES"], rows.collect())
        }
    }
}

impl Place {
    fn file(&self) -> anyhow::Result<AccountsFile> {
        let dir = match &self.state {
            Some(dir) => dir.clone(),
            None => Config::find(self.config.as_deref())?.store.path,
        };
        if !dir.is_dir() {
            bail!(
                "{} is no directory: name the state directory of the daemon by --state, or make it",
                dir.display()
            );
        }
        Ok(AccountsFile::in_dir(&dir))
    }

    fn change(&self, change: Change, said: &str) -> anyhow::Result<ExitCode> {
        let (action, object, note) = change.about();
        let by = By {
            name: os_user().into(),
            role: None,
            from: "terminal".into(),
        };
        let record = Record::new(&by, wall(), action, &object, &note);
        let make = |all: &mut Accounts| {
            all.apply(change, wall())?;
            all.leave_word(record);
            Ok(())
        };
        let changed = self.file()?.change(make)?;
        changed.map_err(anyhow::Error::msg)?;
        eprintln!("apitap: {said}");
        Ok(ExitCode::SUCCESS)
    }
}

/// Who runs the command, as the system knows them.
fn os_user() -> String {
    let uid = rustix::process::getuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = passwd.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)? == uid.to_string()).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid {uid}"))
}

fn span(text: &str) -> anyhow::Result<Duration> {
    let value = toml::Value::String(text.to_owned());
    let Span(span) = value
        .try_into()
        .map_err(|e: toml::de::Error| anyhow::anyhow!("--expires: {}", e.message()))?;
    Ok(span)
}

/// Asked for twice at a terminal, unseen; else the first line of standard input.
fn new_password(name: &str) -> anyhow::Result<crate::access::Hash> {
    let input = std::io::stdin();
    let password = if input.is_terminal() {
        let first = unseen("Password: ")?;
        if first.as_str() != unseen("Once more: ")?.as_str() {
            bail!("the two differ: nothing was changed");
        }
        first
    } else {
        let mut line = Text::default();
        input.lock().read_line(&mut line)?;
        line
    };
    let password = Password::new(password.trim_end_matches(['\r', '\n']));
    password.check(name).map_err(anyhow::Error::msg)?;
    password.hash().map_err(anyhow::Error::msg)
}

type Text = zeroize::Zeroizing<String>;

/// A line from the terminal that is not shown on it.
fn unseen(prompt: &str) -> anyhow::Result<Text> {
    let input = std::io::stdin();
    eprint!("{prompt}");
    std::io::stderr().flush()?;
    let shown = tcgetattr(&input)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Flush, &hidden)?;
    let mut line = Text::default();
    let read = input.lock().read_line(&mut line);
    tcsetattr(&input, OptionalActions::Now, &shown)?;
    eprintln!();
    read?;
    Ok(line)
}

fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..10).unwrap_or(&text).to_owned()
}

/// Columns as wide as what is in them.
fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let head = head.map(str::to_owned);
    let width = |i: usize| {
        let all = rows.iter().chain([&head]).map(|row| row[i].chars().count());
        all.max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in [&head].into_iter().chain(&rows) {
        let cells = row.iter().zip(widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{:<width$}", plain(cell)))
            .collect();
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
