//! `apitap check` and `apitap interfaces`: what would fail, before it does.

use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::specs::{self, Loaded};
use super::summary::plain;
use crate::alert::sink::Transport;
use crate::capture::{LiveSource, interfaces as list};
use crate::config::{Config, Web};
use crate::sensor::Inline;
use crate::sensor::doctor::{self, Grade};
use crate::store::AccountsFile;

/// How long each interface is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Ethernet, two VLAN tags.
const LINK_HEADERS: u32 = 22;

/// Tries everything that `run` needs; each line says what is wrong and how to mend it.
pub(super) fn check(named: Option<&Path>, send_test: bool) -> anyhow::Result<ExitCode> {
    let config = match Config::find(named) {
        Ok(config) => config,
        Err(e) => {
            println!("config      FAIL  {e}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut report = Report::default();
    report.line("config", Ok("reads".into()));
    report.specs(&config);
    report.countries(&config);
    report.interfaces(&config);
    report.listen(&config);
    report.state(&config);
    report.accounts(&config);
    report.evidence(&config);
    report.sinks(&config, send_test)?;
    Ok(if report.failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

#[derive(Default)]
struct Report {
    failed: bool,
}

impl Report {
    fn line(&mut self, what: &str, found: Result<String, String>) {
        match found {
            Ok(text) => println!("{what:<11} ok    {text}"),
            Err(text) => {
                self.failed = true;
                println!("{what:<11} FAIL  {text}");
            }
        }
    }

    fn specs(&mut self, config: &Config) {
        let Loaded { refused, notes, .. } = specs::load(&config.catalog.specs);
        if config.catalog.specs.is_empty() {
            self.line(
                "specs",
                Ok("none: nothing can be shadow, everything is unreviewed".into()),
            );
        } else if refused.is_empty() {
            self.line("specs", Ok("all read".into()));
        }
        for why in refused {
            self.line("specs", Err(why));
        }
        for note in notes {
            println!("specs       note  {note}");
        }
    }

    fn countries(&mut self, config: &Config) {
        let path = &config.sensor.country_db;
        if path.as_os_str().is_empty() {
            return;
        }
        let read = config.countries().map_err(|e| e.to_string());
        self.line(
            "countries",
            read.map(|_| format!("{} is read", path.display())),
        );
    }

    fn interfaces(&mut self, config: &Config) {
        if config.capture.interfaces.is_empty() {
            let mend = "none named: set capture.interfaces, or start with `apitap run -i IFACE`";
            self.line("interface", Err(mend.into()));
        }
        for name in &config.capture.interfaces {
            match LiveSource::open(name, &config.live()) {
                Ok(source) => {
                    self.line("interface", Ok(format!("{name} can be captured on")));
                    look(name, source, config);
                }
                Err(e) => self.line("interface", Err(e.to_string())),
            }
        }
    }

    fn listen(&mut self, config: &Config) {
        let at = config.web.listen;
        let found = TcpListener::bind(at);
        self.line(
            "web",
            found
                .map(|_| format!("{at} is free"))
                .map_err(|e| busy(at, &e)),
        );
        if let Some(provider) = config.oidc().transpose() {
            let known = provider.map(|_| "its settings and secret read".to_owned());
            self.line("sign-in", known);
        }
        if let Some(pem) = config.web().tls {
            let served = format!("{} goes with its key", pem.certificate.display());
            self.line("certificate", pem.load().map(|_| served));
        }
        if let Some(why) = in_the_clear(&config.web) {
            println!("web         WARN  {why}");
        }
    }

    /// Who can sign in, where anybody has to.
    fn accounts(&mut self, config: &Config) {
        if !config.web.signs_in() {
            return;
        }
        let found = AccountsFile::in_dir(&config.store.path).read();
        let found = match found {
            Ok(all) if all.users.is_empty() => Err(NO_USER.to_owned()),
            Ok(all) => Ok(format!(
                "{} and {}",
                doctor::count(all.users.len() as u64, "user"),
                doctor::count(all.tokens.len() as u64, "API token")
            )),
            Err(e) => Err(e.to_string()),
        };
        self.line("sign-in", found);
    }

    fn state(&mut self, config: &Config) {
        self.line("state", writable(&config.store.path));
    }

    fn evidence(&mut self, config: &Config) {
        if config.evidence.is_on() {
            // The daemon makes it as its own user.
            let dir = config.evidence.dir(&config.store.path);
            if dir.is_dir() {
                self.line("evidence", writable(&dir));
            }
            println!("evidence    note  packets are recorded, with all the secrets that they hold");
        }
    }

    /// Without a test: that it has its secrets, and that it could be reached by its settings.
    fn sinks(&mut self, config: &Config, send_test: bool) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let egress = Arc::new(config.egress());
        for sink in config.sinks() {
            let made = sink.settings().and_then(|settings| {
                let _guard = runtime.enter();
                Transport::new(&settings, &egress)
                    .map_err(|why| format!("sink `{}`: {why}", sink.name()))
            });
            let found = match made {
                Ok(transport) if send_test => match runtime.block_on(transport.test()) {
                    Ok(()) => Ok(format!("`{}` took a test alert", sink.name())),
                    Err(failure) => Err(format!("`{}`: {}", sink.name(), failure.why)),
                },
                Ok(_) => Ok(format!("`{}` is ready", sink.name())),
                Err(why) => Err(why),
            };
            self.line("sink", found);
        }
        Ok(())
    }
}

/// Whether files can be made in a folder.
fn writable(path: &Path) -> Result<String, String> {
    std::fs::create_dir_all(path)
        .and_then(|()| tempfile_in(path))
        .map(|()| format!("{} can be written", path.display()))
        .map_err(|e| {
            format!(
                "{}: {e}: make it, owned by the user that apitap runs as",
                path.display()
            )
        })
}

/// A short look through the tap: listens, and sends nothing. What the doctor says of it is advice,
/// and no reason to fail: two quiet seconds prove nothing.
fn look(name: &str, mut source: LiveSource, config: &Config) {
    let mut sensor = Inline::new(&config.sensor(0, [0; 32]));
    let begun = Instant::now();
    let mut trouble = None;
    while begun.elapsed() < LOOK && trouble.is_none() {
        trouble = sensor.poll(&mut source).err();
        sensor.unordered();
    }
    if let Some(e) = trouble {
        println!("tap         note  {e}");
    }
    let readings = sensor.readings(&source);
    let symptoms = doctor::diagnose(&readings);
    if symptoms.is_empty() {
        println!("tap         ok    {name}: {}", doctor::sound(&readings));
    }
    for s in symptoms {
        let grade = match s.severity {
            Grade::Note => "note",
            Grade::Warning | Grade::Severe => "WARN",
        };
        println!("tap         {grade}  {}: {}", plain(&s.tap), s.text);
        println!("{:18}mend: {}", "", s.mend);
    }
    for advice in advice(Path::new("/sys/class/net"), name, config) {
        println!("tap         note  {advice}");
    }
}

/// What the system says of an interface, without a look at its packets.
fn advice(sys: &Path, name: &str, config: &Config) -> Vec<String> {
    let read = |file: &str| {
        let text = std::fs::read_to_string(sys.join(name).join(file)).ok()?;
        Some(text.trim().to_owned())
    };
    let mut out = Vec::new();
    if let Some(mtu) = read("mtu").and_then(|t| t.parse::<u32>().ok())
        && mtu + LINK_HEADERS > config.capture.snap_length
    {
        out.push(format!(
            "{name}: its MTU is {mtu}, and capture.snap_length = {} cuts full frames: set it to 262144",
            config.capture.snap_length
        ));
    }
    if read("carrier").as_deref() == Some("0") {
        out.push(format!(
            "{name}: the link is down: see the cable and the far end's port"
        ));
    }
    for (file, what) in [
        (
            "statistics/rx_missed_errors",
            "packets that the card had no room for",
        ),
        ("statistics/rx_over_errors", "receive ring overruns"),
        (
            "statistics/rx_length_errors",
            "frames longer than its MTU allows",
        ),
        ("statistics/rx_crc_errors", "frames with a bad CRC"),
    ] {
        if let Some(n) = read(file)
            .and_then(|t| t.parse::<u64>().ok())
            .filter(|n| *n > 0)
        {
            let mend = match file {
                "statistics/rx_length_errors" => format!("ip link set {name} mtu 9216"),
                "statistics/rx_crc_errors" => "see the cable and the optics".into(),
                _ => format!("ethtool -G {name} rx MAX"),
            };
            out.push(format!("{name}: {n} {what} since it came up: {mend}"));
        }
    }
    out
}

fn tempfile_in(path: &Path) -> std::io::Result<()> {
    let probe = path.join(".apitap-check");
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(probe)
}

/// Why the port cannot be had.
pub(crate) fn busy(at: std::net::SocketAddr, e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{at} is in use: stop what listens there, or set another web.listen")
        }
        _ => format!("cannot listen on {at}: {e}"),
    }
}

/// What to do where there is sign-in and nobody to do it.
pub(crate) const NO_USER: &str =
    "there is no user yet: `apitap user add NAME --role admin` on this machine makes the first";

/// Why only loopback will do: of the demo, and of a file that was read.
pub(crate) fn not_loopback(at: std::net::SocketAddr) -> String {
    format!(
        "{at} can be reached by others, and there is no sign-in here: listen on 127.0.0.1, or start `apitap run` with web.sign_in"
    )
}

/// What is wrong with passwords on a network.
pub(crate) fn in_the_clear(web: &Web) -> Option<String> {
    (!web.listen.ip().is_loopback() && !web.is_tls()).then(|| {
        format!(
            "passwords and sessions cross the network to {} in the clear: set web.certificate and web.key; or put a proxy with TLS before it, and set web.behind_tls",
            web.listen
        )
    })
}

pub(super) fn interfaces() -> anyhow::Result<ExitCode> {
    let all = list().map_err(anyhow::Error::msg)?;
    if all.is_empty() {
        anyhow::bail!(
            "no interface can be seen: run as root, or give the program the right with `setcap cap_net_raw+ep`"
        );
    }
    let width = all.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    for (name, description, up) in all {
        let line = format!(
            "{name:<width$}  {:<4}  {description}",
            if up { "up" } else { "down" }
        );
        println!("{}", line.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_from_the_systems_own_counters() {
        let sys = tempfile::tempdir().unwrap();
        let stats = sys.path().join("eth1/statistics");
        std::fs::create_dir_all(&stats).unwrap();
        let mut config = Config::default();
        assert_eq!(advice(sys.path(), "eth1", &config), Vec::<String>::new());
        std::fs::write(sys.path().join("eth1/mtu"), "1500\n").unwrap();
        std::fs::write(sys.path().join("eth1/carrier"), "1\n").unwrap();
        std::fs::write(stats.join("rx_missed_errors"), "0\n").unwrap();
        assert_eq!(advice(sys.path(), "eth1", &config), Vec::<String>::new());
        config.capture.snap_length = 96;
        std::fs::write(sys.path().join("eth1/carrier"), "0\n").unwrap();
        std::fs::write(stats.join("rx_missed_errors"), "7\n").unwrap();
        let said = advice(sys.path(), "eth1", &config);
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("snap_length = 96") && said[2].contains("ethtool -G eth1"));
    }
}
