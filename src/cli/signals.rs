//! What the system tells a server that runs: to stop, or to open its bundle anew.

use anyhow::Context;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To stop.
    Stop,
    /// To open bundle and certificate anew.
    Reload,
}

/// The signals of a process: SIGTERM and SIGINT, SIGHUP.
#[cfg(unix)]
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Listens from now on; within a runtime.
    ///
    /// # Errors
    /// If the system does not let it.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let listen = |kind| signal(kind).context("cannot listen to signals");
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, hang_up: listen(SignalKind::hangup())? })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hang_up.recv() => Wish::Reload,
        }
    }
}

/// The signals of a process: Ctrl-C. Nothing tells it to open the bundle anew.
#[cfg(windows)]
pub(crate) struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
}

#[cfg(windows)]
impl Signals {
    /// Listens from now on; within a runtime.
    ///
    /// # Errors
    /// If the system does not let it.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c().context("cannot listen to signals")? })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Wish {
        self.interrupt.recv().await;
        Wish::Stop
    }
}
