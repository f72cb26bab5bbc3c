//! Connections: how many, for how long, and how they end.
//!
//! A connection that is slow to send is ended by the timeouts of head and body, one that does not take its answer by
//! [`Patient`]. At a stop, those that wait for a request are closed, the others when their request is answered.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep, timeout};

use crate::serve::limits::Limits;
use crate::serve::metrics::Metrics;
use crate::serve::tls::Tls;

/// Longest handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long connections that the system has accepted are still taken after a stop was asked for, and requests that have
/// arrived on a connection are still read: their clients already believe that they are served.
const LAST_CALL: Duration = Duration::from_millis(100);
/// How long to wait before the next try when the system has no more file descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// How long to read, and throw away, what a client still sends after its answer; closing at once could destroy the answer.
const LINGER: Duration = Duration::from_secs(1);
/// Longest head of a request, in bytes.
const HEAD_BYTES: usize = 64 * 1024;

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) router: Router,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Connections {
    /// Takes connections until a stop is asked for, then waits until all are answered and closed. Gives the number of those
    /// that were cut off since they were not within the time.
    pub(crate) async fn take(self, listener: TcpListener) -> usize {
        let most = self.limits.connections.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let open = Arc::new(Semaphore::new(most));
        let mut tasks = tokio::task::JoinSet::new();
        let mut stop = self.stop.clone();
        loop {
            while tasks.try_join_next().is_some() {}
            let permit = tokio::select! {
                permit = Arc::clone(&open).acquire_owned() => permit,
                () = stopped(&mut stop) => break,
            };
            let Ok(permit) = permit else { break };
            tokio::select! {
                stream = accept(&listener) => { tasks.spawn(self.clone().connection(stream, permit)); }
                () = stopped(&mut stop) => break,
            }
        }
        while let Ok(permit) = Arc::clone(&open).try_acquire_owned()
            && let Ok(stream) = timeout(LAST_CALL, accept(&listener)).await
        {
            tasks.spawn(self.clone().connection(stream, permit));
        }
        drop(listener);
        let all = async { while tasks.join_next().await.is_some() {} };
        if timeout(self.limits.stop_timeout, all).await.is_ok() { 0 } else { tasks.len() }
    }

    async fn connection(self, stream: TcpStream, _permit: OwnedSemaphorePermit) {
        let _open = Open::new(&self.metrics);
        // Answers are written whole; waiting for more to send with them would only delay them.
        let _ = stream.set_nodelay(true);
        match self.tls.clone() {
            None => self.requests(stream).await,
            Some(tls) => match timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => self.requests(stream).await,
                Ok(Err(error)) => tracing::debug!(%error, "the TLS handshake failed"),
                Err(_) => tracing::debug!("the TLS handshake took too long"),
            },
        }
    }

    async fn requests(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let io = TokioIo::new(Patient::new(stream, self.limits.write_timeout));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(io, TowerToHyperService::new(self.router));
        tokio::pin!(connection);
        let stop = async {
            stopped(&mut self.stop).await;
            tokio::time::sleep(LAST_CALL).await;
        };
        // The connection first: what has arrived when the time is over is read before it counts as idle.
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = stop => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke off");
        }
    }
}

/// Returns when a stop is asked for, or when nobody could ask any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The next connection. What goes wrong here is for a moment: a client that left, or a system without descriptors.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection; trying again");
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}

/// Counts an open connection.
struct Open(Arc<Metrics>);

impl Open {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.connections.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// A stream whose writes fail when the other side takes nothing for too long, and whose end leaves it time to read the
/// last answer.
struct Patient<S> {
    inner: S,
    patience: Duration,
    /// Running while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Running after the last write.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    fn new(inner: S, patience: Duration) -> Self {
        Self { inner, patience, waiting: None, lingering: None }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = None;
            return poll;
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take its answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.watch(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_flush(context);
        self.watch(context, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            let poll = Pin::new(&mut this.inner).poll_shutdown(context);
            ready!(this.watch(context, poll))?;
        }
        let lingering = this.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        let mut space = [0; 8192];
        loop {
            if lingering.as_mut().poll(context).is_ready() || Instant::now() >= lingering.deadline() {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut this.inner).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                // The other side has closed, or is gone.
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}
