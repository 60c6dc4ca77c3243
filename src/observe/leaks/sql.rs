//! Errors of databases: their well-known texts, with the marks that tell them from talk about them.

use std::sync::LazyLock;

use regex::Regex;

/// One of these is in every such text.
pub(super) const ANCHORS: &[&str] = &[
    "sql",
    "ora-0",
    "ora-1",
    "ora-2",
    "ora-3",
    "ora-6",
    "pls-0",
    "pg::",
    "psycopg",
    "pq: ",
    "relation \"",
    "relation \\\"",
    "column '",
    "column \"",
    "column \\\"",
    "table '",
    "table: ",
    "column: ",
    "duplicate ",
    "syntax error",
    "incorrect syntax",
    "unclosed quotation",
    "constraint",
    "invalid input syntax",
    "object name '",
    "column name '",
    "conversion failed",
    "e11000",
    "mongo",
    "cast to objectid",
    "unrecognized token",
    "relation &quot;",
    "table &#39;",
    "column &#39;",
    "column &quot;",
    "foreign key",
    "ora-9",
    "er_",
    "hibernate",
    "activerecord::",
    "datastax",
    "[db2",
    "invalid column",
    "invalid object",
    "for column",
    "out of range",
    "using password:",
    "prismaclient",
];

/// Texts of MySQL and MariaDB, PostgreSQL, SQLite, SQL Server, Oracle, MongoDB and others, and of
/// the libraries between them and an application.
const ERRORS: &[&str] = &[
    // MySQL, MariaDB.
    r"You have an error in your SQL syntax; check the manual",
    r"Unknown column '[^']+' in '(?:field list|where clause|order clause|on clause|group statement|having clause)'",
    r"Table '[\w$.-]+' doesn't exist",
    r"Duplicate entry '[^']*' for key '[^']+'",
    r"Access denied for user '[^']*'@'[^']+'",
    r"Data too long for column '[^']+' at row \d",
    r"Incorrect \w+ value: '[^']*' for column",
    r"Cannot (?:add or update a child|delete or update a parent) row: a foreign key constraint fails",
    r"Column '[^']+' cannot be null",
    r"\bER_(?:PARSE_ERROR|DUP_ENTRY|BAD_FIELD_ERROR|NO_SUCH_TABLE|ACCESS_DENIED_ERROR|DATA_TOO_LONG|NO_REFERENCED_ROW_2|WRONG_VALUE_COUNT_ON_ROW)\b",
    r"com\.mysql\.(?:cj\.)?(?:jdbc\.)?(?:exceptions\.)?\w*(?:\.\w+)*Exception",
    r"mysqli?_(?:query|fetch_\w+|num_rows|connect)\(\)",
    // PDO, ODBC, JDBC.
    r"SQLSTATE\[\w{5}\]",
    r"\bSQLSTATE[:=]\s?\w{5}\b",
    r"java\.sql\.(?:SQL\w*|BatchUpdate)Exception",
    r"org\.(?:hibernate|springframework\.(?:jdbc|dao))\.[\w.]*Exception",
    r"\[(?:Microsoft|unixODBC|IBM)\]\[[^\]]*(?:SQL|ODBC|DB2)[^\]]*\]",
    // PostgreSQL.
    r#"syntax error at or near ""#,
    r#"\b(?:relation|column) "[^"]+" (?:of relation "[^"]+" )?does not exist"#,
    r#"duplicate key value violates unique constraint ""#,
    r#"violates (?:foreign key|not-null|check|exclusion) constraint"#,
    r#"invalid input syntax for (?:type )?(?:\w+ ?)+: ""#,
    r#"null value in column "[^"]+""#,
    r"\bPG::\w+",
    r"org\.postgresql\.util\.PSQLException",
    r"psycopg[23]?\.(?:errors\.)?\w+",
    r"\bpq: \w",
    r"unterminated quoted string at or near",
    // SQLite.
    r"\bSQLITE_(?:ERROR|CONSTRAINT\w*|BUSY|CANTOPEN|MISMATCH|READONLY|LOCKED|CORRUPT)\b",
    r"sqlite3\.(?:Operational|Integrity|Programming|Database|Interface)Error",
    r"SQLite3?::\w*Exception",
    r#"near "[^"]+": syntax error"#,
    r"no such (?:table|column): [\w.]+",
    r"UNIQUE constraint failed: \w+\.\w+",
    r#"unrecognized token: ""#,
    // SQL Server.
    r"Unclosed quotation mark after the character string '",
    r"Incorrect syntax near (?:the keyword )?'",
    r"Invalid (?:object|column) name '[^']+'",
    r"(?:System\.Data\.(?:SqlClient|SQLite|OleDb|Odbc)|Microsoft\.Data\.Sql\w+)\.\w+Exception",
    r"com\.microsoft\.sqlserver\.jdbc\.\w+",
    r"Violation of (?:PRIMARY|UNIQUE) KEY constraint '",
    r"Cannot insert duplicate key row in object '",
    r"Conversion failed when converting (?:the \w+ value|date|from)",
    r"conflicted with the (?:FOREIGN KEY|CHECK|REFERENCE) constraint",
    // Oracle.
    r"\bORA-\d{5}: ",
    r"\bPLS-\d{5}: ",
    r"oracle\.jdbc\.\w+",
    // MongoDB.
    r"\bE11000 duplicate key error",
    r"\bMongo(?:Server|Network|Bulk\w*|Write\w*|Parse|Timeout)?(?:Error|Exception)\b",
    r"pymongo\.errors\.\w+",
    r"Cast to ObjectId failed for value",
    // What stands between.
    r"sqlalchemy\.exc\.\w+",
    r"ActiveRecord::(?:StatementInvalid|RecordNotUnique)",
    r"\bSequelize\w*(?:Database|Constraint)\w*Error\b",
    r"\bPrismaClient\w+Error\b",
    r"QueryFailedError: ",
    r"DB2 SQL error: SQLCODE",
];

static ANYWHERE: LazyLock<Regex> = LazyLock::new(|| regex(&ERRORS.join("|")));
/// What may stand before an error's text: the name of its class, `(1064, "`.
const MAX_LEAD: usize = 80;
const LEAD_WORDS: usize = 2;

/// Not `anywhere`: it is what the text begins with.
pub(super) fn is_error(text: &str, anywhere: bool) -> bool {
    let Some(found) = ANYWHERE.find(text) else {
        return false;
    };
    let lead = text[..found.start()].trim();
    let words = lead.split_ascii_whitespace().count();
    anywhere || lead.len() <= MAX_LEAD && words <= LEAD_WORDS
}

/// The patterns of this room are its own, and tests compile them all. Classes are of ASCII: those of
/// Unicode take a hundred times the room.
pub(super) fn regex(pattern: &str) -> Regex {
    let ascii = pattern
        .replace(r"\w", "[0-9A-Za-z_]")
        .replace(r"\d", "[0-9]")
        .replace(r"\s", r"[ \t\r\n]")
        .replace(r"\S", r"[^ \t\r\n]")
        .replace(r"\b", r"(?-u:\b)");
    Regex::new(&ascii).unwrap_or_else(|e| unreachable!("{e}"))
}
