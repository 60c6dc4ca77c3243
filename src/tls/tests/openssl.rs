//! OpenSSL on both sides: what rustls does not speak. CBC both ways round, CCM, the RSA key
//! exchange with nothing but the server's private key, renegotiation.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::*;

/// A folder with a server's key and certificate; `None` where there is no OpenSSL.
struct Openssl {
    dir: tempfile::TempDir,
}

/// Ends the process with the test, however that ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Openssl {
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .args("req -x509 -newkey rsa:2048 -nodes -subj /CN=api.example -days 2".split(' '))
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(dir.path())
            .output();
        if !made.is_ok_and(|out| out.status.success()) {
            eprintln!("SKIPPED: no openssl to talk with");
            return None;
        }
        let conf = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n\
                    Options = -ExtendedMasterSecret\n";
        std::fs::write(dir.path().join("no-ems.cnf"), conf).unwrap();
        Some(Self { dir })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn private_key(&self) -> String {
        std::fs::read_to_string(self.path().join("key.pem")).unwrap()
    }

    fn log(&self) -> Vec<u8> {
        std::fs::read(self.path().join("log")).unwrap()
    }

    fn command(&self, what: &str, args: &str, more: &str) -> Command {
        let mut command = Command::new("openssl");
        command
            .arg(what)
            .args(args.split(' '))
            .args(more.split_whitespace())
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    fn server(&self, args: &str, ems: bool) -> (Process, u16) {
        let fixed = "-accept 127.0.0.1:0 -cert cert.pem -key key.pem -keylogfile log -rev";
        let mut command = self.command("s_server", fixed, args);
        if !ems {
            command.env("OPENSSL_CONF", self.path().join("no-ems.cnf"));
        }
        let mut server = Process(command.spawn().unwrap());
        let mut lines = BufReader::new(server.0.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("ACCEPT") {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "s_server {args}");
        }
        // What follows is not read; the pipe holds it.
        server.0.stdout = Some(lines.into_inner());
        let port = line.trim().rsplit_once(':').unwrap().1;
        (server, port.parse().unwrap())
    }

    /// A client that says each of `lines` and waits for its echo; the wire between.
    fn talk(&self, port: u16, args: &str, lines: &[&str]) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let fixed = format!("-connect {address} -servername api.example");
        // Behind the rest: -quiet would have it wait for ever.
        let args = format!("{args} -no_ign_eof");
        let mut client = Process(self.command("s_client", &fixed, &args).spawn().unwrap());
        let (down, _) = listener.accept().unwrap();
        let up = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let wire = Arc::new(Mutex::new(Wire::new()));
        let pumps = [(Side::Orig, &down, &up), (Side::Resp, &up, &down)].map(|(side, from, to)| {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            from.set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let wire = wire.clone();
            std::thread::spawn(move || pump(side, from, to, &wire))
        });
        let mut input = client.0.stdin.take();
        let mut output = BufReader::new(client.0.stdout.take().unwrap());
        for line in lines {
            say(input.as_mut().unwrap(), &mut output, line);
        }
        drop(input);
        for pump in pumps {
            pump.join().unwrap();
        }
        client.0.wait().unwrap();
        Arc::into_inner(wire).unwrap().into_inner().unwrap()
    }
}

fn say(input: &mut ChildStdin, output: &mut BufReader<ChildStdout>, line: &str) {
    // In one piece: a single letter with its line's end is a command to the client.
    input.write_all(format!("{line}\n").as_bytes()).unwrap();
    // It must be read alone, or the client drops what came with it.
    if line.len() == 1 {
        return std::thread::sleep(Duration::from_millis(300));
    }
    let echo: String = line.chars().rev().collect();
    let mut got = String::new();
    while got.trim() != echo {
        got.clear();
        assert!(output.read_line(&mut got).unwrap() > 0, "no echo of {line}");
    }
}

fn pump(side: Side, mut from: TcpStream, mut to: TcpStream, wire: &Mutex<Wire>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(n) = from.read(&mut buffer)
        && n > 0
    {
        // On the wire before the other side can answer.
        wire.lock().unwrap().push((side, buffer[..n].to_vec()));
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

const LINES: [&str; 2] = ["hello there", "and good bye"];

fn check(heard: &Heard, what: &str) {
    assert_eq!(
        heard.said(Side::Orig),
        "hello there\nand good bye\n",
        "{what}"
    );
    assert_eq!(
        heard.said(Side::Resp),
        "ereht olleh\neyb doog dna\n",
        "{what}"
    );
    assert_eq!(heard.counters.not_authentic, 0, "{what}");
    assert_eq!(heard.gaps, [], "{what}");
}

#[test]
fn suites_that_rustls_does_not_speak() {
    let Some(openssl) = Openssl::new() else {
        return;
    };
    let tls12 = [
        ("AES128-SHA", 0x002f),
        ("AES256-SHA256", 0x003d),
        ("ECDHE-RSA-AES256-SHA", 0xc014),
        ("ECDHE-RSA-AES128-SHA256", 0xc027),
        ("ECDHE-RSA-AES256-SHA384", 0xc028),
        ("DHE-RSA-AES128-CCM", 0xc09e),
        ("AES256-CCM8", 0xc0a1),
        ("ECDHE-RSA-CHACHA20-POLY1305", 0xcca8),
    ];
    for (name, id) in tls12 {
        let (_server, port) = openssl.server("-tls1_2 -cipher ALL:@SECLEVEL=0", true);
        for etm in ["", "-no_etm"] {
            let args = format!("-tls1_2 -quiet -cipher {name}:@SECLEVEL=0 {etm}");
            let wire = openssl.talk(port, &args, &LINES);
            let what = format!("{name} {etm}");
            let heard = hear(&wire, &store(&openssl.log()), 100);
            check(&heard, &what);
            assert_eq!(heard.facts.cipher, Some(id), "{what}");
        }
    }
    for (name, id) in [
        ("TLS_AES_128_CCM_SHA256", 0x1304),
        ("TLS_AES_128_CCM_8_SHA256", 0x1305),
    ] {
        let (_server, port) = openssl.server(&format!("-ciphersuites {name}"), true);
        let args = format!("-quiet -ciphersuites {name}");
        let heard = hear(
            &openssl.talk(port, &args, &LINES),
            &store(&openssl.log()),
            100,
        );
        check(&heard, name);
        assert_eq!(heard.facts.cipher, Some(id), "{name}");
    }
}

/// The server's private key and nothing else; then sessions that go on from that one.
#[test]
fn the_servers_private_key_opens_an_rsa_key_exchange() {
    let Some(openssl) = Openssl::new() else {
        return;
    };
    for ems in [true, false] {
        for tickets in ["", "-no_ticket"] {
            let what = format!("extended master secret {ems}, {tickets}");
            let (_server, port) = openssl.server(&format!("-tls1_2 {tickets}"), ems);
            let args = "-tls1_2 -quiet -cipher AES128-GCM-SHA256";
            let first = openssl.talk(port, &format!("{args} -sess_out session"), &LINES);
            let second = openssl.talk(port, &format!("{args} -sess_in session"), &LINES);
            let keys = KeyStore::default();
            keys.add_private_key(&openssl.private_key()).unwrap();
            let keys = Arc::new(keys);
            let heard = hear(&first, &keys, 1_460);
            check(&heard, &what);
            assert!(!heard.facts.resumed);
            let heard = hear(&second, &keys, 1_460);
            check(&heard, &what);
            assert!(heard.facts.resumed, "{what}");
            // Another server's key opens nothing, and nothing is made up.
            let other = Openssl::new().unwrap();
            let keys = KeyStore::default();
            keys.add_private_key(&other.private_key()).unwrap();
            let heard = hear(&first, &Arc::new(keys), 1_460);
            assert_eq!(heard.said(Side::Orig), "");
        }
    }
    assert_eq!(
        KeyStore::default().add_private_key("no key"),
        Err(KeyError::NotRsa)
    );
}

#[test]
fn a_renegotiation_is_followed() {
    let Some(openssl) = Openssl::new() else {
        return;
    };
    let (_server, port) = openssl.server("-tls1_2 -client_renegotiation", true);
    for cipher in ["ECDHE-RSA-AES128-GCM-SHA256", "AES256-SHA"] {
        let args = format!("-tls1_2 -cipher {cipher}");
        let wire = openssl.talk(port, &args, &[LINES[0], "R", LINES[1]]);
        check(&hear(&wire, &store(&openssl.log()), 50), cipher);
    }
}

#[test]
fn a_key_update_of_openssl_is_followed() {
    let Some(openssl) = Openssl::new() else {
        return;
    };
    let (_server, port) = openssl.server("", true);
    let wire = openssl.talk(port, "", &[LINES[0], "K", LINES[1]]);
    check(&hear(&wire, &store(&openssl.log()), 50), "key update");
}
