//! `apitap check` and `apitap interfaces`: what would fail, before it does.

use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;

use super::input;
use crate::capture::{LiveSource, interfaces as list};
use crate::config::Config;

/// Tries everything that `run` needs; each line says what is wrong and how to mend it.
pub(super) fn check(named: Option<&Path>) -> anyhow::Result<ExitCode> {
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
    report.interfaces(&config);
    report.listen(&config);
    report.state(&config);
    report.webhooks(&config);
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
        let (_, refused) = input::specs(&config.catalog.specs);
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
    }

    fn interfaces(&mut self, config: &Config) {
        if config.capture.interfaces.is_empty() {
            let mend = "none named: set capture.interfaces, or start with `apitap run -i IFACE`";
            self.line("interface", Err(mend.into()));
        }
        for name in &config.capture.interfaces {
            let opened = LiveSource::open(name, &config.live());
            self.line(
                "interface",
                opened
                    .map(|_| format!("{name} can be captured on"))
                    .map_err(|e| e.to_string()),
            );
        }
    }

    fn listen(&mut self, config: &Config) {
        let at = config.web.listen;
        let found = if at.ip().is_loopback() {
            TcpListener::bind(at)
                .map(|_| format!("{at} is free"))
                .map_err(|e| busy(at, &e))
        } else {
            Err(not_loopback(at))
        };
        self.line("web", found);
    }

    fn state(&mut self, config: &Config) {
        let path = &config.store.path;
        let found = std::fs::create_dir_all(path)
            .and_then(|()| tempfile_in(path))
            .map(|()| format!("{} can be written", path.display()))
            .map_err(|e| {
                format!(
                    "{}: {e}: make it, owned by the user that apitap runs as",
                    path.display()
                )
            });
        self.line("state", found);
    }

    fn webhooks(&mut self, config: &Config) {
        for hook in &config.webhook {
            let found =
                crate::daemon::secret(hook).map(|_| format!("`{}` has its secret", hook.name));
            self.line("webhook", found.map_err(|e| format!("{e:#}")));
        }
    }
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

/// Why only loopback will do.
pub(crate) fn not_loopback(at: std::net::SocketAddr) -> String {
    format!(
        "{at} is no loopback address, and there is no sign-in yet: listen on 127.0.0.1 and use a tunnel or a proxy"
    )
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
