//! Wiring: sources, workers, the analysis thread, the store's thread, and tokio for web and
//! delivery; signals in, ordered shutdown out.
//!
//! Order of starting: config, then everything that can be refused (state directory, port,
//! interfaces), then threads. Order of ending: web, sources, workers, analysis, checkpoint,
//! store, sinks.

use std::fs::DirBuilder;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use crossbeam_channel::{Sender, bounded, unbounded};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::alert;
use crate::alert::delivery::{Backoff, Sink};
use crate::alert::sink::AGENT;
use crate::analysis::{self, Analysis};
use crate::capture::{LiveSource, Source, addresses};
use crate::catalog::Catalog;
use crate::cli::check;
use crate::compose::demo;
use crate::config::{self, Config, Document, Override, SignIn, Span, SpecSource};
use crate::detect::Detect;
use crate::sensor::{self, Ledger, Own, Pool, Readings, doctor};
use crate::store::{self, Pending, Recovered, Store};
use crate::time::Timestamp;
use crate::web::{self, Command, Origin, SensorView, Views};

mod analyst;
mod decisions;
mod evidence;
mod gauges;
mod keys;
mod named_views;
mod reload;
mod specs;
mod traffic;
mod uploads;
mod watch;

use analyst::{Analyst, Message};
use evidence::Evidence;
use reload::Files;
use specs::Watched;
use uploads::Uploads;

/// Within this much all is written and ended.
const SHUTDOWN: Duration = Duration::from_secs(4);

/// What the analysis thread is told by others, waiting.
const MESSAGES: usize = 1_024;

/// What the web UI wants of the analysis thread, waiting.
const COMMANDS: usize = 64;
/// How nice the threads that answer are: those that capture and analyse are not.
const BEHIND_CAPTURE: i32 = 10;

/// `apitap run`.
pub(crate) fn run(named: Option<&Path>, interfaces: &[String]) -> anyhow::Result<ExitCode> {
    // What is written here is for nobody else, whatever the shell's mask is.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let document = Document::find(named)?;
    let read = document.config()?;
    let mut config = read.clone();
    let mut overrides = Vec::new();
    if !interfaces.is_empty() {
        config.capture.interfaces = interfaces.to_vec();
        overrides.push(said("capture.interfaces", "-i"));
    }
    if config.capture.interfaces.is_empty() {
        bail!(
            "no interface to capture on: name one with -i, or set capture.interfaces; `apitap interfaces` lists what there is"
        );
    }
    logging(&config)?;
    let key = store::identity_key(&config.store.path.join("identity.key"))?;
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    for name in &config.capture.interfaces {
        sources.push(Box::new(LiveSource::open(name, &config.live())?));
    }
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
    let settings = sensor::Settings {
        own: own(config.web.listen, addresses()),
        keys: keys::open(&config.tls)?,
        countries: config.countries()?,
        ..config.sensor(u64::from_le_bytes(seed), key)
    };
    let setup = Setup {
        analysis: config.analysis(),
        sensor: settings,
        files: Files {
            specs: Watched::new(config.catalog.specs.clone()),
            path: document.path.clone(),
            read,
            ..Files::default()
        },
        sources,
        document,
        overrides,
    };
    Daemon::start(config, setup)?.wait()
}

/// A key that the command line decided.
fn said(key: &'static str, argument: &str) -> Override {
    let argument = argument.to_owned();
    (key, Origin::CommandLine { argument })
}

/// What tells apitap's own traffic on the interfaces that it watches.
fn own(listen: SocketAddr, mut addresses: Vec<IpAddr>) -> Own {
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    addresses.extend(loopback);
    let listens = if listen.ip().is_unspecified() {
        addresses
            .iter()
            .map(|ip| SocketAddr::new(*ip, listen.port()))
            .collect()
    } else {
        [listen].into()
    };
    Own {
        listens,
        addresses: addresses.into(),
        agent: Some(AGENT.into()),
    }
}

/// `apitap demo`: the same daemon on composed packets, its state in a folder that goes with it.
pub(crate) fn demo(listen: SocketAddr, seed: u64) -> anyhow::Result<ExitCode> {
    let dir = std::env::temp_dir().join(format!("apitap-demo-{}", std::process::id()));
    let mut config = Config::default();
    config.web.listen = listen;
    // Nobody's data, and nobody to ask for: on loopback alone.
    config.web.sign_in = SignIn::Off;
    config.store.path = dir.clone();
    config.log.level = "warn".into();
    logging(&config)?;
    let wall = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let now = Timestamp::from_secs(i64::try_from(wall.as_secs()).unwrap_or_default());
    let analysis = demo::settings();
    config.catalog.learning = Span(analysis.catalog.learning);
    config.detect.learning = Span(analysis.detect.learning);
    let setup = Setup {
        analysis,
        sensor: config.sensor(0, [7; 32]),
        files: Files {
            specs: Watched::new(vec![demo_spec(&dir)?]),
            ..Files::default()
        },
        sources: vec![Box::new(demo::DemoSource::new(seed, now, demo::Pace::Wall))],
        document: Document::default(),
        overrides: vec![
            said("web.listen", "--listen"),
            said("store.path", "demo"),
            said("log.level", "demo"),
            said("catalog.learning", "demo"),
            said("detect.learning", "demo"),
        ],
    };
    let daemon = Daemon::start(config, setup)?;
    println!(
        "Three days of a shop's traffic are being read; then it goes on live, with attacks in the first two minutes."
    );
    println!("Open http://{listen}/  (Ctrl-C ends it)");
    let done = daemon.wait();
    let _ = std::fs::remove_dir_all(&dir);
    done
}

/// The document of the demo as a file beside its state, as a config would name one.
fn demo_spec(state: &Path) -> anyhow::Result<SpecSource> {
    let dir = state.join("demo");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.with_context(|| dir.display().to_string())?;
    let path = dir.join("shop.openapi.yaml");
    std::fs::write(&path, demo::SPEC).with_context(|| path.display().to_string())?;
    Ok(SpecSource {
        path,
        hosts: Vec::new(),
    })
}

/// `apitap read --serve`: what was read, in the web UI, until Ctrl-C.
pub(crate) fn serve(
    config: &Config,
    analysis: &mut Analysis,
    ledger: &Ledger,
    readings: &Readings,
) -> anyhow::Result<()> {
    let listener = bind(&config.web)?;
    let views = Arc::new(Views::default());
    views.catalog.store(analysis.view());
    views.alerts.store(analysis.alerts.view());
    views
        .automation
        .store(Arc::new(analyst::automation(analysis)));
    views.principals.store(Arc::new(analysis.principals()));
    views.sensor.store(Arc::new(SensorView {
        ledger: ledger.clone(),
        symptoms: doctor::diagnose(readings),
        readings: readings.clone(),
        ..SensorView::default()
    }));
    views.ready.store(true, Ordering::Relaxed);
    eprintln!(
        "apitap: http://{}/ shows the result; Ctrl-C ends it",
        config.web.listen
    );
    runtime()?.block_on(async {
        let (commands, mut asked) = tokio::sync::mpsc::channel::<Command>(16);
        let answers = async move {
            while let Some(command) = asked.recv().await {
                match command {
                    Command::Principal { id, reply } => {
                        reply.send(Ok(analysis.principal(&id).map(Box::new)));
                    }
                    change => change
                        .refuse("a file that was read has no store: nothing can be changed here"),
                }
            }
        };
        let settings = config.web();
        let tls = settings.tls.clone();
        let app = web::router(views.clone(), commands, settings);
        let served = web::serve(listener, app, tls, views, ended());
        tokio::select! {
            served = served => served?,
            () = answers => {}
        }
        Ok(())
    })
}

/// What differs between a port and the demo.
struct Setup {
    analysis: analysis::Settings,
    sensor: sensor::Settings,
    files: Files,
    sources: Vec<Box<dyn Source>>,
    document: Document,
    overrides: Vec<Override>,
}

/// The web server, and what ends it.
struct Web {
    served: tokio::task::JoinHandle<()>,
    stop: tokio::sync::oneshot::Sender<()>,
}

struct Daemon {
    runtime: tokio::runtime::Runtime,
    files: Files,
    store: Store,
    messages: Sender<Message>,
    sinks: Arc<Vec<Sink>>,
    analyst: std::thread::JoinHandle<()>,
    web: Web,
    ended: tokio::sync::oneshot::Receiver<()>,
}

impl Daemon {
    fn start(config: Config, setup: Setup) -> anyhow::Result<Self> {
        let listener = bind(&config.web)?;
        let settings: Result<Vec<_>, _> = config.sinks().iter().map(|s| s.settings()).collect();
        let settings = settings.map_err(anyhow::Error::msg)?;
        let router = config.router().map_err(anyhow::Error::msg)?;
        let (messages, inbox) = bounded(MESSAGES);
        // Without a bound, so that the store never waits for the analysis, which waits for the
        // store: what lies in it are alerts that were handed over and are now on disk.
        let (recorded, on_disk) = unbounded();
        let tell = Box::new(move |pending: Pending| {
            // The analysis thread may have ended already; the alert is safe.
            let _ = recorded.send(Arc::new(pending));
        });
        let (store, mut recovered) = Store::open(&config.store.path, router, tell)?;
        let mut web = config.web();
        web.oidc = config.oidc().map_err(anyhow::Error::msg)?;
        if let Some(pem) = &web.tls {
            pem.load().map_err(anyhow::Error::msg)?;
        }
        let runtime = runtime()?;
        let guard = runtime.enter();
        let egress = Arc::new(config.egress());
        let outbox: Vec<Arc<Pending>> = std::mem::take(&mut recovered.outbox)
            .into_iter()
            .map(Arc::new)
            .collect();
        let mut sinks = Vec::new();
        for settings in &settings {
            let sink = Sink::start(settings, &egress, Backoff::default(), store.clone())
                .map_err(anyhow::Error::msg)?;
            for pending in outbox.iter().filter(|p| p.sinks.contains(sink.name())) {
                sink.send(pending.clone());
            }
            sinks.push(sink);
        }
        drop(guard);
        let sinks = Arc::new(sinks);
        for notice in &recovered.notices {
            tracing::error!("{notice}");
        }
        let notices = std::mem::take(&mut recovered.notices);
        let decisions = recovered.decisions.clone();
        let views = Arc::new(Views {
            accounts: store.accounts(),
            audit: store.trail(),
            ..Views::default()
        });
        if config.web.signs_in() && views.accounts.load().users.is_empty() {
            tracing::warn!("nobody can sign in: {}", check::NO_USER);
        }
        let again = Arc::new(Notify::new());
        let changes = std::mem::take(&mut recovered.specs);
        let uploads = Uploads::new(changes, &config.store.path, again.clone());
        uploads.publish(&views);
        let named_views = std::mem::take(&mut recovered.views);
        let analysis = restore(setup.analysis, recovered);
        let settings = config.view(&setup.document, &setup.overrides);
        views.settings.store(Arc::new(settings));
        let mut files = Files {
            countries: setup.sensor.countries.clone(),
            views: views.clone(),
            again,
            ..setup.files
        };
        let specs = files.specs.read(&views.specs.load());
        let pool = Pool::start(setup.sources, &setup.sensor);
        let handle = pool.handle.clone();
        let evidence =
            Evidence::start(&config.evidence, &config.store.path, handle, views.clone())?;
        let (done, ended) = tokio::sync::oneshot::channel();
        let mut analyst = Analyst::new(
            (analysis, decisions, uploads),
            pool,
            store.clone(),
            views.clone(),
            sinks.clone(),
            setup.sensor.workers,
            config.store.checkpoint_every.0,
        )
        .with_evidence(evidence)
        .with_named_views(named_views)
        .with_budgets(config.sensor.max_flows as u64, config.sensor.max_buffered.0);
        if !config.sensor.exchanges.as_os_str().is_empty() {
            let path = &config.sensor.exchanges;
            let file = std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path);
            analyst = analyst
                .with_lines(file.with_context(|| format!("sensor.exchanges: {}", path.display()))?);
        }
        let analyst = std::thread::spawn(move || {
            analyst.run(specs, notices, &inbox, &on_disk);
            let _ = done.send(());
        });
        let trail = store.clone();
        let audit: web::Audit = Arc::new(move |record, told| trail.audit(record, told));
        let (commands, queue) = tokio::sync::mpsc::channel(COMMANDS);
        runtime.spawn(hand_on(queue, messages.clone()));
        let tls = web.tls.clone();
        let app = web::audited(views.clone(), commands, audit, web);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let served = web_server(listener, app, tls, views, stopped);
        let web = Web {
            served: runtime.spawn(served),
            stop,
        };
        Ok(Self {
            runtime,
            files,
            store,
            messages,
            sinks,
            analyst,
            web,
            ended,
        })
    }

    /// Until a signal, or the end of the sources; then ends in order.
    fn wait(self) -> anyhow::Result<ExitCode> {
        let Self {
            runtime,
            files,
            store,
            messages,
            sinks,
            analyst,
            web,
            ended,
        } = self;
        notify(&[sd_notify::NotifyState::Ready]);
        runtime.block_on(until_told(files, &messages, ended))?;
        notify(&[sd_notify::NotifyState::Stopping]);
        let late = std::thread::spawn(|| {
            std::thread::sleep(SHUTDOWN);
            // Alerts are on disk; a checkpoint that takes longer is not worth a hanging service.
            eprintln!("apitap: ending took too long; the last checkpoint stands");
            std::process::exit(1);
        });
        // First what people have asked for, while there is somebody to do it.
        let _ = web.stop.send(());
        let _ = runtime.block_on(web.served);
        let _ = messages.send(Message::Stop);
        let _ = analyst.join();
        store.close();
        if let Ok(sinks) = Arc::try_unwrap(sinks) {
            runtime.block_on(async {
                for sink in sinks {
                    sink.stop(Duration::from_millis(500)).await;
                }
            });
        }
        runtime.shutdown_timeout(Duration::from_millis(500));
        drop(late);
        Ok(ExitCode::SUCCESS)
    }
}

async fn until_told(
    mut files: Files,
    messages: &Sender<Message>,
    mut ended: tokio::sync::oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let (mut term, mut int, mut hup) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    );
    let mut watchdog = tokio::time::interval(Duration::from_secs(5));
    let mut look = tokio::time::interval(specs::LOOK);
    let again = files.again.clone();
    loop {
        tokio::select! {
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
            _ = &mut ended => return Ok(()),
            _ = watchdog.tick() => {
                // Alive means that the analysis thread still takes messages.
                if messages.try_send(Message::Ping).is_ok() {
                    notify(&[sd_notify::NotifyState::Watchdog]);
                }
            }
            _ = hup.recv() => files = files.hang_up(messages).await,
            () = again.notified() => files = files.specs_again("an upload has changed", messages).await,
            _ = look.tick() => {
                let (changed, same) = files.have_changed().await;
                files = if changed {
                    same.specs_again("a spec has changed", messages).await
                } else {
                    same
                };
            }
        }
    }
}

/// People's wishes go to the analysis.
async fn hand_on(mut queue: tokio::sync::mpsc::Receiver<Command>, messages: Sender<Message>) {
    while let Some(command) = queue.recv().await {
        if messages.try_send(Message::Command(command)).is_err() {
            // Dropping the command drops its reply: the page says that apitap is busy.
            tracing::warn!("a command was refused: the analysis is behind");
        }
    }
}

async fn web_server(
    listener: TcpListener,
    app: axum::Router,
    tls: Option<web::Pem>,
    views: Arc<Views>,
    stop: tokio::sync::oneshot::Receiver<()>,
) {
    let stop = async { drop(stop.await) };
    if let Err(e) = web::serve(listener, app, tls, views, stop).await {
        tracing::error!("the web server ended: {e}");
    }
}

/// Parts that do not read start clean, loudly.
pub(crate) fn restore(settings: analysis::Settings, recovered: Recovered) -> Analysis {
    let analysis::Settings {
        catalog,
        detect,
        alert,
    } = settings;
    let clean = |e: &dyn std::fmt::Display| tracing::error!("{e}; it starts clean");
    let mut catalog = match recovered.catalog {
        Some(saved) => Catalog::restore(catalog.clone(), &saved).unwrap_or_else(|e| {
            clean(&e);
            Catalog::new(catalog)
        }),
        None => Catalog::new(catalog),
    };
    catalog.replay(&recovered.decisions);
    let detect = match recovered.detect {
        Some(saved) => Detect::restore(detect.clone(), &saved).unwrap_or_else(|e| {
            clean(&e);
            Detect::new(detect)
        }),
        None => Detect::new(detect),
    };
    let mut alerts = alert::Manager::new(alert);
    alerts.restore_silences(recovered.silences);
    alerts.restore(recovered.alerts, recovered.incidents);
    Analysis::with(catalog, detect, alerts)
}

fn bind(web: &config::Web) -> anyhow::Result<TcpListener> {
    let at = web.listen;
    if !web.signs_in() && !at.ip().is_loopback() {
        bail!("{}", check::not_loopback(at));
    }
    if let Some(why) = check::in_the_clear(web) {
        tracing::warn!("{why}");
    }
    let listener = TcpListener::bind(at).map_err(|e| anyhow::anyhow!("{}", check::busy(at, &e)))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// For those who ask: its threads come after those that capture where processors are few.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(|| {
            // Linux takes it for the thread alone. What is refused costs no more than that.
            let _ = rustix::process::setpriority_process(None, BEHIND_CAPTURE);
        })
        .build()?)
}

async fn ended() {
    let _ = tokio::signal::ctrl_c().await;
}

fn logging(config: &Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.level).with_context(|| {
        format!(
            "log.level: `{}` is no level (error, warn, info, debug, trace)",
            config.log.level
        )
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    if config.log.json {
        builder.json().init();
    } else {
        builder
            .with_ansi(!plain && std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init();
    }
    Ok(())
}

/// Tells systemd, where it asked to be told.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}
