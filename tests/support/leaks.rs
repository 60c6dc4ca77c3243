//! Composed answers: errors as frameworks and databases write them, and what only looks like them.

use serde_json::json;

/// SplitMix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

pub(crate) struct Body {
    pub(crate) status: u16,
    pub(crate) media_type: &'static str,
    pub(crate) text: String,
}

type Make = fn(&mut Rng) -> Body;

/// Kind, what it is, and one of it.
pub(crate) const POSITIVES: &[(&str, &str, Make)] = &[
    ("stack-trace", "Java", |r| worded(r, java)),
    ("stack-trace", "Kotlin", |r| worded(r, kotlin)),
    ("stack-trace", "Python", |r| worded(r, python)),
    ("stack-trace", ".NET", |r| worded(r, dotnet)),
    ("stack-trace", "PHP", |r| worded(r, php)),
    ("stack-trace", "Ruby", |r| worded(r, ruby)),
    ("stack-trace", "Node", |r| worded(r, node)),
    ("stack-trace", "Go", |r| worded(r, go)),
    ("stack-trace", "Rust", |r| worded(r, rust)),
    ("stack-trace", "Tomcat", tomcat),
    ("stack-trace", "Django", django),
    ("stack-trace", "Laravel", laravel),
    ("stack-trace", "array of frames", frames),
    ("stack-trace", "with success", |r| {
        json_of(
            200,
            json!({ "ok": false, "error": { "code": word(r), "stack": node(r) } }),
        )
    }),
    ("sql-error", "MySQL", |r| worded(r, mysql)),
    ("sql-error", "PostgreSQL", |r| worded(r, postgres)),
    ("sql-error", "SQLite", |r| worded(r, sqlite)),
    ("sql-error", "SQL Server", |r| worded(r, mssql)),
    ("sql-error", "Oracle", |r| worded(r, oracle)),
    ("sql-error", "MongoDB", |r| worded(r, mongo)),
    ("sql-error", "with success", |r| {
        json_of(200, json!({ "success": false, "message": postgres(r) }))
    }),
    ("internal-address", "refused", |r| {
        let text = format!(
            "connect ECONNREFUSED {}:{}",
            private(r),
            1_000 + r.below(60_000)
        );
        errorly(r, text)
    }),
    ("internal-address", "name", |r| {
        let text = format!("getaddrinfo ENOTFOUND {}", inside(r));
        errorly(r, text)
    }),
    ("internal-address", "URL", |r| {
        let text = format!("upstream http://{}/{} answered 502", inside(r), word(r));
        errorly(r, text)
    }),
    ("internal-address", "URL with success", |r| {
        json_of(
            200,
            json!({ "id": r.below(9_999), "next": format!("http://{}:8080/{}?page=2", private(r), word(r)) }),
        )
    }),
    ("internal-address", "IPv6", |r| {
        let text = format!(
            "no route to host [fd{:02x}:{:x}:{:x}::{:x}]:5432",
            r.below(256),
            r.below(0xffff),
            r.below(0xffff),
            1 + r.below(0xfff)
        );
        errorly(r, text)
    }),
    ("file-path", "Unix", |r| {
        let text = format!("cannot open {}: no such file or directory", file(r));
        errorly(r, text)
    }),
    ("file-path", "Windows", |r| {
        let text = format!(
            "Could not find file 'C:\\inetpub\\{}\\{}\\{}.config'.",
            word(r),
            word(r),
            word(r)
        );
        errorly(r, text)
    }),
    ("file-path", "PHP warning", |r| Body {
        status: 500,
        media_type: "text/html",
        text: format!(
            "<br />\n<b>Warning</b>:  Undefined variable ${} in <b>/var/www/html/{}/{}.php</b> on line <b>{}</b><br />",
            word(r),
            word(r),
            word(r),
            line(r)
        ),
    }),
];

pub(crate) const LOOK_ALIKES: &[(&str, Make)] = &[
    ("article with a Java trace", |r| {
        json_of(
            200,
            json!({ "title": "Help", "body": format!("I see this:\n\n{}", java(r)) }),
        )
    }),
    ("question with a Python trace", |r| {
        json_of(
            200,
            json!({ "items": [{ "content": python(r), "score": line(r) }] }),
        )
    }),
    ("chat with a trace", |r| {
        json_of(
            200,
            json!({ "message": format!("hey, look:\n{}", node(r)) }),
        )
    }),
    ("article on SQL", |r| {
        json_of(
            200,
            json!({ "text": format!("How do I fix \"{}\"?", mysql(r)) }),
        )
    }),
    ("message on SQL", |r| {
        json_of(
            200,
            json!({ "message": format!("Ann wrote to you about the error {}", oracle(r)) }),
        )
    }),
    ("talk of frames", |r| {
        worded(r, |r| {
            format!(
                "at java.lang and at {} we (the {}) are sorry",
                word(r),
                word(r)
            )
        })
    }),
    ("one frame", |r| {
        worded(r, |r| {
            format!("failed at com.acme.{}(A.java:{})", word(r), line(r))
        })
    }),
    ("prose with at", |r| {
        worded(r, |r| {
            format!(
                "Meet us\n   at home (with {})\n   at work (without {})",
                word(r),
                word(r)
            )
        })
    }),
    ("list with numbers", |r| {
        worded(r, |r| {
            format!("#1 {} (2)\n#2 {} (3)\n#3 {}", word(r), word(r), word(r))
        })
    }),
    ("validation", |r| {
        json_of(
            422,
            json!({ "errors": [{ "field": word(r), "message": format!("{} must not be null", word(r)) }] }),
        )
    }),
    ("talk of a column", |r| {
        worded(r, |r| {
            format!(
                "Unknown column: {}. Relation does not exist in table {}",
                word(r),
                word(r)
            )
        })
    }),
    ("syntax error of JSON", |r| {
        worded(r, |r| {
            format!("syntax error at line {} near {}", line(r), word(r))
        })
    }),
    ("duplicate entry", |r| {
        worded(r, |r| {
            format!("Duplicate entry: the {} {} is taken", word(r), word(r))
        })
    }),
    ("query language", |r| {
        worded(r, |r| {
            format!(
                "Invalid SQL-like filter, expected {} but got {}",
                word(r),
                word(r)
            )
        })
    }),
    ("oracle of something", |r| {
        worded(r, |r| {
            format!("The oracle of {} (ORA-{}) is closed", word(r), word(r))
        })
    }),
    ("versions", |r| {
        worded(r, |r| {
            format!(
                "Please update to version 10.{}.{}.{} of {}",
                r.below(20),
                r.below(20),
                1 + r.below(20),
                word(r)
            )
        })
    }),
    ("products", |r| {
        worded(r, |r| {
            format!(
                "Unsupported client {}/10.{}.{}.{}",
                word(r),
                r.below(20),
                r.below(20),
                1 + r.below(200)
            )
        })
    }),
    ("public addresses", |r| {
        worded(r, |r| {
            format!(
                "blocked: {}.{}.{}.{}",
                11 + r.below(100),
                r.below(255),
                r.below(255),
                1 + r.below(250)
            )
        })
    }),
    ("longer numbers", |r| {
        worded(r, |r| {
            format!(
                "oid 1.3.10.{}.{}.{}.{} unknown",
                r.below(9),
                r.below(9),
                r.below(9),
                r.below(9)
            )
        })
    }),
    ("addresses as data", |r| {
        json_of(
            200,
            json!({ "machines": [{ "ip": private(r), "name": inside(r) }] }),
        )
    }),
    ("members of objects", |r| {
        worded(r, |r| {
            format!(
                "{}.local is not a function; use {}.settings.internal",
                word(r),
                word(r)
            )
        })
    }),
    ("mail inside", |r| {
        worded(r, |r| {
            format!("no mailbox {}@{}.local here", word(r), word(r))
        })
    }),
    ("MAC addresses", |r| {
        worded(r, |r| {
            format!(
                "device fd:{:02x}:{:02x}:{:02x}:{:02x}:{:02x} is off",
                r.below(256),
                r.below(256),
                r.below(256),
                r.below(256),
                r.below(256)
            )
        })
    }),
    ("hashes", |r| {
        worded(r, |r| {
            format!("digest fd{:030x} does not match", r.below(u64::MAX))
        })
    }),
    ("asked again", |r| {
        let name = word(r);
        html(404, &format!("<pre>Cannot GET /app/static/{name}.js</pre>"))
    }),
    ("Spring's 404", |r| {
        json_of(
            404,
            json!({ "timestamp": 1_760_000_000, "status": 404, "error": "Not Found", "path": format!("/app/{}/{}.js", word(r), word(r)) }),
        )
    }),
    ("page with assets", |r| {
        html(
            503,
            &format!(
                "<link href=\"/app/{0}/{1}.css\"><script src=\"/home/{0}/{1}.js\"></script><p>Back soon</p>",
                word(r),
                word(r)
            ),
        )
    }),
    ("paths of URLs", |r| {
        worded(r, |r| {
            format!(
                "see https://{}.example/home/{}/faq.php for help",
                word(r),
                word(r)
            )
        })
    }),
    ("plain 404", |r| {
        html(
            404,
            &format!(
                "<html><head><title>404</title></head><body><h1>Not Found</h1><p>The requested URL /opt/{}/index.php was not found on this server.</p></body></html>",
                word(r)
            ),
        )
    }),
    ("plain 500", |r| {
        json_of(
            500,
            json!({ "error": "internal", "id": format!("{:x}", r.below(u64::MAX)), "at": word(r) }),
        )
    }),
];

fn json_of(status: u16, value: serde_json::Value) -> Body {
    Body {
        status,
        media_type: "application/json",
        text: value.to_string(),
    }
}

fn html(status: u16, text: &str) -> Body {
    Body {
        status,
        media_type: "text/html",
        text: text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// An error's text in one of the forms that frameworks give it.
fn worded(r: &mut Rng, make: fn(&mut Rng) -> String) -> Body {
    let text = make(r);
    errorly(r, text)
}

fn errorly(r: &mut Rng, text: String) -> Body {
    let status = r.one_of(&[400, 422, 500, 500, 500, 502, 503]);
    match r.below(6) {
        0 => Body {
            status,
            media_type: "text/plain",
            text,
        },
        1 => html(
            status,
            &format!(
                "<!doctype html><html><body><h1>Error</h1><pre>{}</pre></body></html>",
                escaped(&text)
            ),
        ),
        2 => json_of(
            status,
            json!({ "error": { "message": text, "code": status } }),
        ),
        3 => json_of(
            status,
            json!({ "type": "about:blank", "title": "Oops", "status": status, "detail": text }),
        ),
        4 => json_of(
            status,
            json!({ "errors": [{ "message": "failed", "extensions": { "exception": { "stacktrace": text.lines().collect::<Vec<_>>() } } }] }),
        ),
        _ => Body {
            media_type: "application/problem+json",
            ..json_of(
                status,
                json!({ "timestamp": "2025-10-09", "trace": text, "status": status }),
            )
        },
    }
}

fn word(r: &mut Rng) -> &'static str {
    const WORDS: [&str; 16] = [
        "orders", "billing", "invoice", "pricing", "account", "basket", "stock", "shipping",
        "coupon", "payment", "session", "profile", "search", "report", "ledger", "catalog",
    ];
    r.one_of(&WORDS)
}

fn title(r: &mut Rng) -> String {
    let word = word(r);
    word[..1].to_uppercase() + &word[1..]
}

fn line(r: &mut Rng) -> u64 {
    1 + r.below(900)
}

fn private(r: &mut Rng) -> String {
    let last = 1 + r.below(250);
    match r.below(3) {
        0 => format!("10.{}.{}.{last}", r.below(256), r.below(256)),
        1 => format!("192.168.{}.{last}", r.below(256)),
        _ => format!("172.{}.{}.{last}", 16 + r.below(16), r.below(256)),
    }
}

fn inside(r: &mut Rng) -> String {
    match r.below(4) {
        0 => format!("{}.{}.svc.cluster.local", word(r), word(r)),
        1 => format!(
            "ip-10-{}-{}-{}.ec2.internal",
            r.below(256),
            r.below(256),
            r.below(256)
        ),
        2 => format!("{}-0{}.{}.internal", word(r), r.below(9), word(r)),
        _ => format!("{}-{}.{}.local", word(r), r.below(90), word(r)),
    }
}

fn file(r: &mut Rng) -> String {
    let root = r.one_of(&[
        "/var/www/html",
        "/home/deploy/app",
        "/opt/acme",
        "/srv/web",
        "/usr/local/share/acme",
        "/app/src",
    ]);
    let end = r.one_of(&["php", "py", "rb", "js", "yml", "conf", "log", "json"]);
    format!("{root}/{}/{}.{end}", word(r), word(r))
}

fn java(r: &mut Rng) -> String {
    let class = r.one_of(&[
        "java.lang.NullPointerException",
        "java.lang.IllegalStateException",
        "com.acme.api.NotFoundException",
    ]);
    let mut out = format!("{class}: {} is null\n", word(r));
    for _ in 0..2 + r.below(6) {
        out += &match r.below(4) {
            0 => format!(
                "\tat com.acme.{}.{}Service.get({}Service.java:{})\n",
                word(r),
                title(r),
                title(r),
                line(r)
            ),
            1 => format!(
                "\tat java.base/java.util.{}.<init>(Optional.java:{})\n",
                title(r),
                line(r)
            ),
            2 => "\tat jdk.internal.reflect.NativeMethodAccessorImpl.invoke0(Native Method)\n"
                .to_owned(),
            _ => format!(
                "\tat com.acme.{}.{}$$FastClassBySpringCGLIB$$1.invoke(<generated>)\n",
                word(r),
                title(r)
            ),
        };
    }
    out + "\t... 42 more"
}

fn kotlin(r: &mut Rng) -> String {
    let mut out = format!(
        "Exception in thread \"main\" kotlin.UninitializedPropertyAccessException: {}\n",
        word(r)
    );
    for _ in 0..2 + r.below(4) {
        out += &format!(
            "    at com.acme.{}.{}Kt$main$1.invokeSuspend({}.kt:{})\n",
            word(r),
            title(r),
            title(r),
            line(r)
        );
    }
    out
}

fn python(r: &mut Rng) -> String {
    let mut out = "Traceback (most recent call last):\n".to_owned();
    for _ in 0..1 + r.below(5) {
        out += &format!(
            "  File \"/srv/app/{}/{}.py\", line {}, in {}\n    return {}[key]\n",
            word(r),
            word(r),
            line(r),
            word(r),
            word(r)
        );
    }
    out + &format!("KeyError: '{}'", word(r))
}

fn dotnet(r: &mut Rng) -> String {
    let mut out =
        "System.NullReferenceException: Object reference not set to an instance of an object.\n"
            .to_owned();
    for _ in 0..2 + r.below(5) {
        out += &match r.below(3) {
            0 => format!("   at Acme.{}.{}Controller.Get(Int32 id, String name) in /src/Acme/{}.cs:line {}\n", title(r), title(r), title(r), line(r)),
            1 => format!("   at Acme.{}.<>c__DisplayClass5_0.<<{}>b__0>d.MoveNext()\n", title(r), title(r)),
            _ => "   at System.Runtime.CompilerServices.TaskAwaiter.HandleNonSuccessAndDebuggerNotification(Task task)\n".to_owned(),
        };
    }
    out
}

fn php(r: &mut Rng) -> String {
    let mut out = format!(
        "PHP Fatal error:  Uncaught TypeError: {}(): bad in /var/www/{}.php:{}\nStack trace:\n",
        word(r),
        word(r),
        line(r)
    );
    let n = 1 + r.below(4);
    for at in 0..n {
        out += &format!(
            "#{at} /var/www/{}/{}.php({}): {}->{}()\n",
            word(r),
            title(r),
            line(r),
            title(r),
            word(r)
        );
    }
    out + &format!(
        "#{n} {{main}}\n  thrown in /var/www/{}.php on line {}",
        word(r),
        line(r)
    )
}

fn ruby(r: &mut Rng) -> String {
    let mut out = format!(
        "NoMethodError (undefined method `{}' for nil:NilClass):\n",
        word(r)
    );
    for _ in 0..2 + r.below(4) {
        let quote = r.one_of(&["`", "'"]);
        out += &format!(
            "app/controllers/{}_controller.rb:{}:in {quote}{}'\n",
            word(r),
            line(r),
            word(r)
        );
    }
    out
}

fn node(r: &mut Rng) -> String {
    let mut out = format!(
        "TypeError: Cannot read properties of undefined (reading '{}')\n",
        word(r)
    );
    for _ in 0..2 + r.below(5) {
        out += &match r.below(4) {
            0 => format!("    at {}.{} (/app/src/{}.js:{}:{})\n", title(r), word(r), word(r), line(r), line(r)),
            1 => format!("    at async /usr/src/app/dist/{}.js:{}:{}\n", word(r), line(r), line(r)),
            2 => "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)\n".to_owned(),
            _ => format!("    at Object.<anonymous> (C:\\acme\\{}.ts:{}:{})\n", word(r), line(r), line(r)),
        };
    }
    out
}

fn go(r: &mut Rng) -> String {
    let mut out = format!(
        "panic: runtime error: invalid memory address\n\ngoroutine {} [running]:\n",
        line(r)
    );
    for _ in 0..1 + r.below(4) {
        out += &format!(
            "main.{}(0xc000010000, 0x1)\n\t/go/src/acme/{}.go:{} +0x1d\n",
            word(r),
            word(r),
            line(r)
        );
    }
    out
}

fn rust(r: &mut Rng) -> String {
    let mut out = format!(
        "thread 'tokio-runtime-worker' panicked at src/{}.rs:{}:9:\ncalled `Option::unwrap()` on a `None` value\nstack backtrace:\n",
        word(r),
        line(r)
    );
    for at in 0..2 + r.below(4) {
        out += &format!(
            "  {at:>2}: acme::{}::{}\n             at ./src/{}.rs:{}:17\n",
            word(r),
            word(r),
            word(r),
            line(r)
        );
    }
    out
}

fn tomcat(r: &mut Rng) -> Body {
    let mut frames = String::new();
    for _ in 0..2 + r.below(4) {
        frames += &format!(
            "\tcom.acme.{}.{}Servlet.doGet({}Servlet.java:{})\n",
            word(r),
            title(r),
            title(r),
            line(r)
        );
    }
    html(
        500,
        &format!(
            "<html><body><h1>HTTP Status 500</h1><p><b>Exception</b></p><pre>java.lang.NullPointerException\n{frames}</pre><h3>Apache Tomcat</h3></body></html>"
        ),
    )
}

fn django(r: &mut Rng) -> Body {
    let mut frames = String::new();
    for _ in 0..2 + r.below(4) {
        frames += &format!(
            "<li class=\"frame user\"><code class=\"fname\">/srv/{}/{}.py</code>, line {}, in {}<div class=\"context\"><pre>x = 1</pre></div></li>",
            word(r),
            word(r),
            line(r),
            word(r)
        );
    }
    html(
        500,
        &format!(
            "<!DOCTYPE html><html><h1>KeyError at /x</h1><ul class=\"traceback\">{frames}</ul></html>"
        ),
    )
}

fn laravel(r: &mut Rng) -> Body {
    let frame = |r: &mut Rng| json!({ "file": format!("/var/www/{}/{}.php", word(r), title(r)), "line": line(r), "function": word(r), "type": "->" });
    let trace: Vec<_> = (0..2 + r.below(4)).map(|_| frame(r)).collect();
    json_of(
        500,
        json!({ "message": "Server Error", "exception": "ErrorException", "trace": trace }),
    )
}

fn frames(r: &mut Rng) -> Body {
    let frame = |r: &mut Rng| json!({ "className": format!("com.acme.{}", title(r)), "methodName": word(r), "fileName": format!("{}.java", title(r)), "lineNumber": line(r) });
    let trace: Vec<_> = (0..2 + r.below(4)).map(|_| frame(r)).collect();
    json_of(500, json!({ "cause": null, "stackTrace": trace }))
}

fn mysql(r: &mut Rng) -> String {
    match r.below(5) {
        0 => format!(
            "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near '{}' at line 1",
            word(r)
        ),
        1 => format!(
            "SQLSTATE[42S22]: Column not found: 1054 Unknown column '{}' in 'field list'",
            word(r)
        ),
        2 => format!("(1146, \"Table '{}.{}' doesn't exist\")", word(r), word(r)),
        3 => format!(
            "ER_DUP_ENTRY: Duplicate entry '{}' for key '{}.PRIMARY'",
            line(r),
            word(r)
        ),
        _ => format!(
            "com.mysql.cj.jdbc.exceptions.MySQLSyntaxErrorException: near {}",
            word(r)
        ),
    }
}

fn postgres(r: &mut Rng) -> String {
    match r.below(5) {
        0 => format!("ERROR: syntax error at or near \"{}\"", word(r)),
        1 => format!("relation \"{}\" does not exist", word(r)),
        2 => format!(
            "org.postgresql.util.PSQLException: ERROR: column \"{}\" does not exist",
            word(r)
        ),
        3 => format!(
            "pq: duplicate key value violates unique constraint \"{}_pkey\"",
            word(r)
        ),
        _ => format!("PG::UndefinedTable: ERROR: no {}", word(r)),
    }
}

fn sqlite(r: &mut Rng) -> String {
    match r.below(4) {
        0 => format!("SQLITE_ERROR: no such table: {}", word(r)),
        1 => format!(
            "sqlite3.OperationalError: near \"{}\": syntax error",
            word(r)
        ),
        2 => format!("UNIQUE constraint failed: {}.id", word(r)),
        _ => format!("SQLite3::SQLException: unrecognized token: \"{}\"", word(r)),
    }
}

fn mssql(r: &mut Rng) -> String {
    match r.below(4) {
        0 => format!(
            "Unclosed quotation mark after the character string '{}'.",
            word(r)
        ),
        1 => format!(
            "System.Data.SqlClient.SqlException (0x80131904): Invalid object name 'dbo.{}'.",
            word(r)
        ),
        2 => format!(
            "[Microsoft][ODBC Driver 17 for SQL Server][SQL Server]Incorrect syntax near '{}'.",
            word(r)
        ),
        _ => format!(
            "Violation of PRIMARY KEY constraint 'PK_{}'. Cannot insert duplicate key in object",
            word(r)
        ),
    }
}

fn oracle(r: &mut Rng) -> String {
    match r.below(3) {
        0 => "ORA-00942: table or view does not exist".to_owned(),
        1 => format!(
            "ORA-01756: quoted string not properly terminated near {}",
            word(r)
        ),
        _ => format!(
            "java.sql.SQLSyntaxErrorException: ORA-00904: \"{}\": invalid identifier",
            word(r)
        ),
    }
}

fn mongo(r: &mut Rng) -> String {
    match r.below(4) {
        0 => format!(
            "E11000 duplicate key error collection: {}.{} index: _id_",
            word(r),
            word(r)
        ),
        1 => format!("MongoServerError: unknown operator: ${}", word(r)),
        2 => format!(
            "Cast to ObjectId failed for value \"{}\" at path \"_id\"",
            word(r)
        ),
        _ => format!("pymongo.errors.OperationFailure: bad {}", word(r)),
    }
}
