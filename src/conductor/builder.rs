//! Starting a conductor: opens the database, makes every thread, takes over what it finds.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use serde_json::Value;

use crate::config::{self, Config, MemoryScope};
use crate::guard;
use crate::instrument;
use crate::monitor::{self, Monitor};
use crate::net::{self, Limits, Listener, Vital};
use crate::pressure;
use crate::sched::{self, Scheduler};
use crate::store::{OpenError, Reader, Store};
use crate::worker::attempt::Worker;
use crate::worker::{Lane, Semaphore};

use super::Conductor;
use super::around::Around;
use super::clock::Clock;
use super::core::{Core, Inlets, Outbox};
use super::requests::{Desk, Instruments, Job};
use super::side::Side;
use super::view::View;
use super::watch::{Audience, SUBSCRIBER_BOUND};

/// Errands that may wait for the side lane.
const ERRANDS: usize = 256;
/// Submissions of hooks that may wait for a request worker, beside the requests of clients.
const CHAINED: usize = 64;

/// Settings of a conductor that is to be started.
#[derive(Default)]
pub struct Builder {
    config: Option<Config>,
    state_dir: Option<PathBuf>,
    instruments_home: Option<PathBuf>,
    listener: Option<Listener>,
    guard_program: Option<PathBuf>,
    subscribers: Vec<Sender<Value>>,
    title: Option<&'static str>,
    vital: Option<Arc<Vital>>,
}

/// Why a conductor did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConductorError {
    /// The state directory cannot be made or used.
    #[error("cannot use the state directory `{path}`")]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Attempts cannot be supervised.
    #[error(
        "no guard program: this program has not called `mozart::guard::run_if_asked()` and there is no `mozart` on \
         PATH; call it first in `main`, or name a `mozart` with `Builder::guard_program`"
    )]
    NoGuard,
    /// The settings of the environment are not valid.
    #[error("the settings are not valid: {0}")]
    Config(String),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What the database holds cannot be read.
    #[error(transparent)]
    Read(#[from] crate::store::ReadError),
    /// The system gives no thread or no socket.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
    /// The conductor thread panicked; jobs are as their last commit left them.
    #[error("the conductor thread panicked; restart it, jobs are as their last commit left them")]
    Panicked,
}

impl Builder {
    /// Settings; the defaults otherwise.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Directory of the database and of everything else that must survive. Default: the directory of
    /// `state_db_path`.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Directory that holds `instruments/` with the user's profiles. Default: the state directory.
    #[must_use]
    pub fn instruments_home(mut self, dir: impl Into<PathBuf>) -> Self {
        self.instruments_home = Some(dir.into());
        self
    }

    /// A bound socket to serve. Without one only [`Conductor::call`] reaches the conductor.
    #[must_use]
    pub fn socket(mut self, listener: Listener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// The program that supervises attempts when called as `PROGRAM __guard DIR`. Default: this
    /// executable when it is `mozart` or `mozartd` or has called [`guard::run_if_asked`], else
    /// `mozart` from `PATH`.
    #[must_use]
    pub fn guard_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.guard_program = Some(program.into());
        self
    }

    /// Every event of every job, as the `params` of `job.event`. Whoever is more than 1,000 events
    /// behind misses some; a gap shows in `seq`.
    pub fn events(&mut self) -> Receiver<Value> {
        let (sender, receiver) = bounded(SUBSCRIBER_BOUND);
        self.subscribers.push(sender);
        receiver
    }

    /// How the conductor calls itself in the error of a job that was active when it died
    /// (`Conductor`, or `Daemon` for `mozartd`).
    #[must_use]
    pub fn title(mut self, title: &'static str) -> Self {
        self.title = Some(title);
        self
    }

    /// Signs of life that the caller made before, so that uptime counts from there.
    #[must_use]
    pub fn vital(mut self, vital: Arc<Vital>) -> Self {
        self.vital = Some(vital);
        self
    }

    /// Opens the database, takes over what an earlier conductor left, starts every thread. When it
    /// returns, clients are served.
    ///
    /// The caller makes sure that no other conductor uses the state directory.
    ///
    /// # Errors
    /// As [`ConductorError`] says; nothing runs then.
    pub fn start(self) -> Result<Conductor, ConductorError> {
        let mut config = match self.config {
            Some(config) => config,
            None => defaults()?,
        };
        if let Some(dir) = &self.state_dir {
            config.state_db_path = dir.join("daemon-state.db");
        }
        let config = Arc::new(config);
        let state_dir = config.state_dir();
        make_private_dir(&state_dir)
            .and_then(|()| make_private_dir(&state_dir.join("jobs")))
            .map_err(|source| ConductorError::StateDir { path: state_dir.clone(), source })?;
        let guard_program =
            self.guard_program.or_else(guard::default_program).ok_or(ConductorError::NoGuard)?;
        let clock = Clock::new();
        let now = clock.now();
        let opened = Store::open(&config.state_db_path, now.wall)?;
        if let Some(replaced) = &opened.replaced {
            log::error!("registry.replaced damaged={replaced:?}");
        }
        let store = opened.store;
        let stored = store.active_jobs()?;

        let (events, event_inlet) = unbounded();
        let (net_events, net_inlet) = unbounded();
        let (pressure_events, pressure_inlet) = bounded(16);
        let view = Arc::new(View::default());
        let vital = self.vital.unwrap_or_else(|| Arc::new(Vital::new()));
        let stack = (config.workers.stack_kib as usize * 1024).max(LEAST_STACK);

        let monitor = start_monitor(&config, &view, clock, pressure_events)?;
        let places = config.socket.max_concurrent_requests as usize + 1 + CHAINED;
        let (requests, request_queue) = bounded(places);
        let reactor = self
            .listener
            .map(|listener| {
                net::Reactor::spawn(
                    listener,
                    limits(&config),
                    Arc::clone(&vital),
                    dispatch(&requests),
                    net_events,
                )
            })
            .transpose()?;
        let net = reactor.as_ref().map(net::Reactor::handle);

        let ours = Arc::new(instrument::environment::ours());
        let side = {
            let worker = || Side {
                events: events.clone(),
                state_dir: state_dir.clone(),
                guard_program: guard_program.clone(),
                ours: Arc::clone(&ours),
            };
            let run = |side: &mut Side, errand| side.run(errand);
            Lane::start("side", config.workers.side as usize, stack, ERRANDS, worker, run)?
        };
        let sheets = {
            let worker = || {
                Worker::new(
                    events.clone(),
                    state_dir.clone(),
                    guard_program.clone(),
                    &config,
                    Arc::clone(&ours),
                )
            };
            let run = |worker: &mut Worker, task| worker.run(task);
            let threads = config.max_concurrent_sheets as usize;
            Lane::start("sheet", threads, stack, threads * 2, worker, run)?
        };
        let instruments_home = self.instruments_home.unwrap_or_else(|| state_dir.clone());
        let boot_id: Arc<str> = crate::process::boot_id().into();
        let desk = || Desk {
            view: Arc::clone(&view),
            reader: Reader::new(&config.state_db_path),
            config: Arc::clone(&config),
            gauge: monitor.gauge(),
            clock,
            instruments: Instruments::new(instruments_home.clone()),
            events: events.clone(),
            net: net.clone(),
            vital: Arc::clone(&vital),
            boot_id: Arc::clone(&boot_id),
        };

        let mut core = Core {
            clock,
            registry: super::registry::Registry::default(),
            view: Arc::clone(&view),
            gauge: monitor.gauge(),
            jobs: HashMap::new(),
            modifying: BTreeSet::new(),
            listening: super::output::Listening::default(),
            queue: VecDeque::new(),
            workspaces: super::workspaces::Workspaces::default(),
            backstop: super::backstop::Backstop::default(),
            permits: Semaphore::new(config.max_concurrent_jobs as usize),
            sched: Scheduler::new(scheduler_limits(&config)),
            shown: None,
            failures: pressure::FailureWindow::default(),
            audience: Audience::new(net.clone(), self.subscribers),
            notifier: crate::notify::Notifier::new(guard_program.clone(), config.workers.side as usize),
            timers: BTreeSet::new(),
            dispatch_at: None,
            shed: super::shed::Shedding::default(),
            around: Around::new(events.clone(), config.workers.side, config.max_concurrent_sheets),
            stopping: None,
            // What was found is published without waiting for an event.
            again: true,
            adopted: 0,
            sweeping: 0,
            outbox: Outbox::default(),
            touched: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            verdicts: Vec::new(),
            further_writes: Vec::new(),
            title: self.title.unwrap_or("Conductor"),
            vital: Arc::clone(&vital),
            sheets,
            side,
            net: net.clone(),
            requests: requests.clone(),
            store,
            state_dir: state_dir.clone(),
            config: Arc::clone(&config),
        };
        let mut instruments = Instruments::new(instruments_home.clone());
        core.recover(now, stored, &mut instruments);
        // Nobody is answered before what was found can be seen; requests wait in their queue.
        let request_lane = Lane::over(
            "request",
            config.workers.requests as usize,
            stack,
            (requests.clone(), request_queue),
            desk,
            |desk: &mut Desk, job| desk.serve(job),
        )?;
        let inlets = Inlets { events: event_inlet, pressure: pressure_inlet, net: net_inlet };
        let (finishing, finished) = bounded::<()>(0);
        let thread = std::thread::Builder::new()
            .name("mz-conductor".into())
            .stack_size(CONDUCTOR_STACK)
            .spawn(move || {
                // Dropped when the thread ends, which closes the channel.
                let _finishing = finishing;
                core.run(&inlets);
            })?;
        log::info!("manager.started state_dir={:?}", state_dir.display().to_string());
        Ok(Conductor {
            events,
            requests: Some(requests),
            request_lane: Some(request_lane),
            vital,
            thread: Some(thread),
            reactor,
            monitor: Some(monitor),
            finished,
        })
    }
}

/// The least stack of a thread of the pool, whatever `workers.stack_kib` says. JSON with 127 levels of nesting needs
/// more than 192 KiB in optimised and more than 320 KiB in debug builds, and an overflow ends the whole process.
const LEAST_STACK: usize = 1 << 20;

/// The conductor thread encodes records and runs SQLite; it is one thread, so it may be larger.
const CONDUCTOR_STACK: usize = 1 << 20;

fn make_private_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    DirBuilder::new().mode(0o700).create(dir)
}

/// The settings without a file, with the environment's `HOME` and `MOZART_HOME`.
fn defaults() -> Result<Config, ConductorError> {
    let environment = config::Environment::read(&|name| std::env::var(name).ok());
    config::load(None, &config::Options::default(), &environment)
        .map(|loaded| loaded.config)
        .map_err(|problems| ConductorError::Config(problems.to_string()))
}

/// Lines go to the request lane; what does not fit comes back to the reactor.
fn dispatch(requests: &Sender<Job>) -> net::Dispatch {
    let requests = requests.clone();
    net::Dispatch::new(move |request| {
        let line = |job| match job {
            Job::Line(request) => request,
            Job::Continue(_) => unreachable!("only lines are sent here"),
        };
        requests.try_send(Job::Line(request)).map_err(|refused| match refused {
            TrySendError::Full(job) => TrySendError::Full(line(job)),
            TrySendError::Disconnected(job) => TrySendError::Disconnected(line(job)),
        })
    })
}

fn scheduler_limits(config: &Config) -> sched::Limits {
    sched::Limits {
        max_sheets: config.max_concurrent_sheets,
        instruments: config
            .instruments
            .iter()
            .map(|(name, limit)| (name.clone(), limit.max_concurrent))
            .collect(),
        ..sched::Limits::default()
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        max_connections: config.socket.max_connections as usize,
        max_concurrent_requests: config.socket.max_concurrent_requests as usize,
        max_streams: config.socket.max_streams as usize,
        ..Limits::default()
    }
}

fn start_monitor(
    config: &Config,
    view: &Arc<View>,
    clock: Clock,
    changes: Sender<pressure::Pressure>,
) -> io::Result<Monitor> {
    let settings = monitor::Settings {
        limits: pressure::Limits {
            memory_mb: config.resource_limits.max_memory_mb,
            processes: config.resource_limits.max_processes,
        },
        scope: match config.resource_limits.memory_scope {
            MemoryScope::Tree => monitor::Scope::Tree,
            MemoryScope::Daemon => monitor::Scope::Daemon,
        },
        interval: Duration::from_secs_f64(config.monitor_interval_seconds),
    };
    let view = Arc::clone(view);
    let inputs = monitor::Inputs {
        live: Box::new(move || monitor::Live {
            any: view.attempts.load(Ordering::Acquire) > 0,
            guards: view.adopted_guards(),
        }),
        clock: Box::new(move || clock.now().mono),
        changes,
    };
    Monitor::start(settings, inputs)
}
