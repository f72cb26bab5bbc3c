//! A worker in an async program: tasks send texts through a bounded channel and get their labels back; one worker takes what is
//! waiting and classifies it together, which is faster than one text at a time.
//!
//! Command: `cargo run --release --example tokio_worker`
//! In:      the lines of `examples/ticker.jsonl`, each sent by a task of its own
//! Out:     one line a text: level, topics, the beginning of the text

#![allow(clippy::print_stdout, reason = "the output of this program is what it prints")]

use std::error::Error;
use std::path::PathBuf;

use detente::text::{self, ReadOptions};
use detente::{Classifier, Prediction};
use tokio::sync::{mpsc, oneshot};

/// Texts that wait; a task that sends one more waits itself, so that a flood stays with those who make it.
const WAITING: usize = 256;
/// Texts that are classified together: enough to sort them by length, few enough that nobody waits long.
const TOGETHER: usize = 64;
/// Characters of a text that are shown.
const SHOWN_CHARACTERS: usize = 60;

/// A text, and where its labels go.
struct Job {
    text: String,
    answer: oneshot::Sender<Prediction>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (jobs, queue) = mpsc::channel(WAITING);
    let worker = tokio::task::spawn_blocking(move || work(queue));

    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/ticker.jsonl");
    let mut tasks = Vec::new();
    for document in text::open(&path, &ReadOptions::default())? {
        tasks.push(tokio::spawn(task(jobs.clone(), document?.text().to_owned())));
    }
    // The worker ends when nobody can send any more.
    drop(jobs);
    for task in tasks {
        println!("{}", task.await?.ok_or("the worker ended early")?);
    }
    worker.await??;
    Ok(())
}

/// What a task of the program does; `None` if the worker is gone.
async fn task(jobs: mpsc::Sender<Job>, text: String) -> Option<String> {
    let (answer, labels) = oneshot::channel();
    jobs.send(Job { text: text.clone(), answer }).await.ok()?;
    let prediction = labels.await.ok()?;
    let topics: Vec<&str> = prediction.topics().filter(|topic| topic.applies).map(|topic| topic.name).collect();
    let level = prediction.escalation().map_or(0, |level| level.code);
    let beginning: String = text.chars().take(SHOWN_CHARACTERS).collect();
    Some(format!("{level:>2}  {:28}  {beginning}", topics.join(" ")))
}

/// The worker, on a thread that may block.
fn work(mut queue: mpsc::Receiver<Job>) -> detente::Result<()> {
    let classifier = Classifier::embedded()?;
    let mut waiting = Vec::with_capacity(TOGETHER);
    while queue.blocking_recv_many(&mut waiting, TOGETHER) > 0 {
        // Nobody waits for the labels of a task that was cancelled; a blank text has none.
        waiting.retain(|job| !job.answer.is_closed() && !job.text.trim().is_empty());
        let texts: Vec<&str> = waiting.iter().map(|job| job.text.as_str()).collect();
        let predictions = classifier.classify_batch(&texts)?;
        for (job, prediction) in waiting.drain(..).zip(predictions) {
            // The task may have been cancelled in the meantime.
            let _ = job.answer.send(prediction);
        }
    }
    Ok(())
}
