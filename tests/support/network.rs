//! A mirror port of network namespaces: a client in one, servers in another, `tc mirred` copying
//! both directions of their link onto a veth, and the daemon in a third at its far end.
//!
//! Needs root, iproute2 and curl. Where there are no namespaces the tests are skipped, loudly;
//! where `APITAP_NEED_NETNS` is set (CI), they fail instead.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Where the servers are; IPv6 has `fd00:99:7::1`.
pub(crate) const SERVER: &str = "10.99.7.1";

/// A namespace of the network.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    Client,
    Server,
    Mirror,
}

impl At {
    const ALL: [Self; 3] = [Self::Client, Self::Server, Self::Mirror];
}

/// Three namespaces, taken down when dropped with all that runs in them.
pub(crate) struct Network {
    /// Of this run alone, so that several do not meet.
    name: String,
    processes: Vec<Child>,
}

impl Network {
    /// `None`: skipped.
    pub(crate) fn up() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        take_down_the_dead();
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let network = Self {
            name: format!("apitap-{}-{n}", std::process::id()),
            processes: Vec::new(),
        };
        let [c, s, m] = At::ALL.map(|at| network.namespace(at));
        let made = sh(&format!(
            "for n in {c} {s} {m}; do ip netns add $n; ip -n $n link set lo up; done
            ip -n {c} link add c0 type veth peer name s0 netns {s}
            ip -n {s} link add m0 type veth peer name m1 netns {m}
            ip -n {c} addr add 10.99.7.2/24 dev c0; ip -n {s} addr add {SERVER}/24 dev s0
            ip -n {c} addr add fd00:99:7::2/64 dev c0 nodad
            ip -n {s} addr add fd00:99:7::1/64 dev s0 nodad
            ip -n {c} link set c0 up; ip -n {s} link set s0 up
            # Nothing on the mirror link speaks of its own accord.
            for n in {s}:m0 {m}:m1; do
              ip netns exec ${{n%:*}} sh -c \"echo 1 > /proc/sys/net/ipv6/conf/${{n#*:}}/disable_ipv6\"
              ip -n ${{n%:*}} link set ${{n#*:}} arp off up
            done
            tc -n {s} qdisc add dev s0 clsact
            for way in ingress egress; do
              tc -n {s} filter add dev s0 $way protocol all u32 match u32 0 0 action mirred egress mirror dev m0
            done"
        ));
        match made {
            Ok(_) => Some(network),
            Err(why) => {
                missing(&format!("network namespaces (root is needed): {why}"));
                None
            }
        }
    }

    fn namespace(&self, at: At) -> String {
        format!("{}-{at:?}", self.name)
    }

    /// What a command there prints, or why it failed.
    pub(crate) fn run(&self, at: At, line: &str) -> Result<String, String> {
        output(Command::new("ip").args(["netns", "exec", &self.namespace(at), "sh", "-ec", line]))
            .map_err(|why| format!("`{line}`: {why}"))
    }

    /// Starts what is to run until the network goes down.
    pub(crate) fn spawn(&mut self, at: At, line: &str) {
        let child = Command::new("ip")
            .args(["netns", "exec", &self.namespace(at), "sh", "-ec"])
            .arg(format!("exec {line}"))
            .stdin(Stdio::null())
            .spawn();
        self.processes.push(child.unwrap());
    }

    /// Starts the daemon on the mirror's port, its state and `exchanges` in `dir`, and waits until
    /// it captures.
    pub(crate) fn daemon(&mut self, dir: &Path, config: &str) {
        let at = dir.display();
        let path = dir.join("apitap.toml");
        let config = format!(
            "[capture]\ninterfaces = [\"m1\"]\n[store]\npath = \"{at}/state\"\n[sensor]\nworkers = 2\nexchanges = \"{at}/exchanges\"\n{config}"
        );
        std::fs::write(&path, config).unwrap();
        let program = env!("CARGO_BIN_EXE_apitap");
        self.spawn(
            At::Mirror,
            &format!("{program} run --config {}", path.display()),
        );
        until("the daemon", || {
            let ready = "curl -sf http://127.0.0.1:8650/readyz";
            self.run(At::Mirror, ready).is_ok()
        });
    }

    pub(crate) fn api(&self, path: &str) -> Value {
        let line = format!("curl -sf http://127.0.0.1:8650{path}");
        let text = self.run(At::Mirror, &line).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Ends the daemon in order, which drains it. It was passive: nothing was ever sent into the
    /// mirror; and nothing that the mirror sent was dropped.
    pub(crate) fn end(&self) {
        let sensor = self.api("/api/v1/sensor");
        assert_eq!(sensor["ledger"]["balanced"], true, "{sensor}");
        assert_eq!(sensor["ledger"]["dropped"]["kernel"], 0, "{sensor}");
        let sent = "cat /sys/class/net/m1/statistics/tx_packets";
        assert_eq!(self.run(At::Mirror, sent).unwrap().trim(), "0");
        let begun = Instant::now();
        let pids = format!("ip netns pids {}", self.namespace(At::Mirror));
        sh(&format!("{pids} | xargs kill -TERM")).unwrap();
        until("the daemon's end", || {
            sh(&format!("test -z \"$({pids})\"")).is_ok()
        });
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for child in &mut self.processes {
            let _ = child.kill();
            let _ = child.wait();
        }
        for at in At::ALL {
            take_down(&self.namespace(at));
        }
    }
}

/// What these tests need is not here: says so, or fails where it is required.
pub(crate) fn missing(what: &str) {
    let needed = std::env::var_os("APITAP_NEED_NETNS").is_some();
    assert!(!needed, "required here, and missing: {what}");
    eprintln!("SKIPPED: {what}");
}

pub(crate) fn until(what: &str, done: impl FnMut() -> bool) {
    assert!(comes_about(done), "{what} did not come about");
}

/// Polls, for as long as a machine under load may take.
pub(crate) fn comes_about(mut done: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !done() {
        if begun.elapsed() > Duration::from_secs(60) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

fn sh(line: &str) -> Result<String, String> {
    output(Command::new("sh").args(["-ec", line])).map_err(|why| format!("`{line}`: {why}"))
}

fn output(command: &mut Command) -> Result<String, String> {
    let out = command.output().map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if out.status.success() {
        Ok(text(&out.stdout))
    } else {
        Err(text(&out.stderr))
    }
}

fn take_down(namespace: &str) {
    let _ = sh(&format!(
        "ip netns pids {namespace} 2>/dev/null | xargs -r kill -9; ip netns del {namespace} 2>/dev/null"
    ));
}

/// What a run that was killed left behind.
fn take_down_the_dead() {
    for line in sh("ip netns list").unwrap_or_default().lines() {
        let namespace = line.split(' ').next().unwrap_or_default();
        let pid = namespace
            .strip_prefix("apitap-")
            .and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            take_down(namespace);
        }
    }
}
