//! The commands: arguments in, exit codes out. 0 done, 1 failed or partly read, 2 wrong use, 3 `diff`
//! found something and was to say so.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

mod accounts;
mod analyze;
pub(crate) mod check;
mod coverage;
mod diff;
pub(crate) mod input;
mod output;
mod read;
pub(crate) mod specs;
mod summary;
mod what_if;

/// A passive API monitor: packets from a mirror port in, API inventory and alerts out.
#[derive(Parser)]
#[command(
    name = "apitap",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The daemon: capture, analysis, web UI, alerts
    #[command(
        after_help = "Examples:\n  apitap run -i eth1\n  apitap run --config /etc/apitap/apitap.toml"
    )]
    Run(RunArgs),
    /// Read captures through the whole pipeline, as fast as it goes
    #[command(
        after_help = "Examples:\n  apitap read trace.pcap\n  apitap read --format exchanges trace.pcapng.gz | jq .path\n  \
        tcpdump -w - | apitap read - --spec openapi.yaml --format inventory"
    )]
    Read(ReadArgs),
    /// The analysis half, from exchange lines
    #[command(
        after_help = "Examples:\n  apitap analyze exchanges.jsonl --format alerts\n  zcat x.jsonl.gz | apitap analyze -"
    )]
    Analyze(AnalyzeArgs),
    /// What is different between two inventories, or an inventory and a spec
    #[command(
        after_help = "Examples:\n  apitap diff yesterday.jsonl today.jsonl\n  apitap diff openapi.yaml today.jsonl --only shadow --exit-code\n  \
        curl -s sensor:8650/api/v1/endpoints.jsonl | apitap diff openapi.yaml - --format json\n\n\
        Exit codes: 0 compared, 1 a side cannot be read, 2 wrong use, 3 differences were found and --exit-code was given"
    )]
    Diff(diff::DiffArgs),
    /// Composed traffic: three days of history, then live attacks; UI on 127.0.0.1:8650
    Demo(DemoArgs),
    /// What would fail, and how to mend it
    Check(CheckArgs),
    /// Who may sign in: add, list, role, password, remove
    #[command(
        after_help = "Examples:\n  apitap user add alice --role admin\n  apitap user password alice < new-password"
    )]
    User(accounts::UserArgs),
    /// API tokens of programs: add, list, revoke
    #[command(
        after_help = "Examples:\n  apitap token add prometheus --role viewer --expires never\n  apitap token revoke prometheus"
    )]
    Token(accounts::TokenArgs),
    /// What can be captured on
    Interfaces,
    /// Man page or shell completions, from the same source as --help
    #[command(hide = true)]
    Generate {
        /// `man`, or a shell: bash, zsh, fish
        what: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Summary,
    /// One exchange a line; stops after the sensor
    Exchanges,
    /// One endpoint a line
    Inventory,
    /// One alert a line
    Alerts,
    /// For each input line, the endpoint that it belongs to
    Assignments,
    /// The endpoints for a spreadsheet, without formulas
    Csv,
    /// The observed APIs as OpenAPI 3.1, a document for each host group
    Openapi,
    /// Every counter by stage and reason
    Ledger,
    /// The OWASP API Top 10, one category a line: coverage and open items
    Owasp,
}

/// What `read` and `analyze` share.
#[derive(clap::Args, Clone, Debug)]
pub struct Common {
    /// OpenAPI document, or a folder of them; with the hosts that it is about where its servers do
    /// not say
    #[arg(long = "spec", value_name = "[HOST,…=]PATH")]
    specs: Vec<String>,
    #[arg(long, value_enum, default_value = "summary")]
    format: Format,
    /// Only this host group, in inventory, csv and openapi
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Write here instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Settings of the catalogue and the detectors
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Other settings, tried on the same exchanges: which alerts would have rung, and which not
    #[arg(long, value_name = "FILE", conflicts_with = "state")]
    what_if: Option<PathBuf>,
    /// Go on from this state, and leave the new one there
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Key of the identity hashes; made where there is none
    #[arg(long, value_name = "FILE")]
    identity_key: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct ReadArgs {
    /// pcap or pcapng, plain, .gz or .zst; a folder of them; `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
    /// NSS key log of the TLS sessions, or the server's RSA key in PEM; secrets inside a pcapng file
    /// are used without it
    #[arg(long, value_name = "FILE")]
    keylog: Option<PathBuf>,
    /// Threads that reassemble and parse; the results are the same
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Keep secrets in paths and queries
    #[arg(long)]
    no_mask: bool,
    /// One file after the other instead of merged by packet time
    #[arg(long)]
    sequential: bool,
    /// Show the result in the web UI afterwards
    #[arg(long)]
    serve: bool,
}

#[derive(clap::Args)]
pub struct AnalyzeArgs {
    /// Exchange lines; `-` for standard input
    file: PathBuf,
    #[command(flatten)]
    common: Common,
    /// Lines may come this many seconds late and are put in order
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    lateness: u32,
}

#[derive(clap::Args)]
pub struct RunArgs {
    /// Settings; where none is named, /etc/apitap/apitap.toml if it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Capture here (several allowed); in place of the config's interfaces
    #[arg(short, long = "interface", value_name = "IFACE")]
    interfaces: Vec<String>,
}

#[derive(clap::Args)]
pub struct DemoArgs {
    /// Where the web UI listens
    #[arg(long, default_value = "127.0.0.1:8650")]
    listen: std::net::SocketAddr,
    /// Another number, another world
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Read everything at once, write a summary, and end: for checks
    #[arg(long)]
    once: bool,
}

#[derive(clap::Args)]
pub struct CheckArgs {
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Send a test alert to every sink
    #[arg(long)]
    send_test: bool,
}

/// Parses the arguments, does the work, and says what the shell should know.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => crate::daemon::run(args.config.as_deref(), &args.interfaces),
        Command::Read(args) => read::read(&args),
        Command::Analyze(args) => analyze::analyze(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Demo(args) if args.once => read::demo_once(args.seed),
        Command::Demo(args) => crate::daemon::demo(args.listen, args.seed),
        Command::Check(args) => check::check(args.config.as_deref(), args.send_test),
        Command::User(args) => accounts::user(args),
        Command::Token(args) => accounts::token(args),
        Command::Interfaces => check::interfaces(),
        Command::Generate { what } => generate(&what),
    };
    match done {
        Ok(code) => code,
        Err(e) if closed_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("apitap: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever read our output has enough.
fn closed_pipe(e: &anyhow::Error) -> bool {
    let kinds = e
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    kinds
        .into_iter()
        .any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}

fn generate(what: &str) -> anyhow::Result<ExitCode> {
    use std::io::Write;
    let mut page = Vec::new();
    let command = &mut Cli::command();
    if what == "man" {
        clap_mangen::Man::new(command.clone()).render(&mut page)?;
    } else {
        let shell =
            clap_complete::Shell::from_str(what, true).map_err(|e| anyhow::anyhow!("{e}"))?;
        clap_complete::generate(shell, command, "apitap", &mut page);
    }
    std::io::stdout().write_all(&page)?;
    Ok(ExitCode::SUCCESS)
}
