use std::path::PathBuf;

use super::*;

fn classifier(name: &str) -> Arc<Classifier> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    Arc::new(Classifier::builder().threads(2).open(folder).unwrap())
}

fn texts(count: usize) -> Vec<String> {
    let seeds = [
        "Nein.",
        "Министр отверг ультиматум и отозвал посла.",
        "停火协议已经签署",
        "Die Waffenruhe hält seit drei Tagen.",
    ];
    (0..count).map(|index| format!("{index} {}", seeds[index % seeds.len()].repeat(1 + index % 7))).collect()
}

fn queue(bytes: usize, batch_tokens: usize, workers: usize) -> Queue {
    Queue::start(QueueOptions { bytes, batch_tokens }, workers, Metrics::new()).unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn bits(prediction: &Prediction) -> Vec<u32> {
    let topics = prediction.topics().map(|topic| topic.probability.to_bits());
    let levels = prediction.escalation_probabilities().iter().map(|probability| probability.to_bits());
    topics.chain(levels).chain(prediction.boilerplate().map(f32::to_bits)).collect()
}

#[test]
fn predictions_are_those_of_a_batch_bit_for_bit() {
    for name in ["tiny", "tiny/int8", "fake"] {
        let classifier = classifier(name);
        let texts = texts(40);
        let expected = classifier.classify_batch(&texts).unwrap();
        for (batch_tokens, workers) in [(1, 1), (40, 3), (512, 2)] {
            let queue = queue(1 << 20, batch_tokens, workers);
            let submit = |part: &[String]| {
                let room = queue.admit(part.iter().map(String::len).sum()).unwrap();
                queue.submit(Arc::clone(&classifier), part.to_vec(), Purpose::Labels, room)
            };
            let tickets: Vec<Ticket> = [0..1, 1..30, 30..30, 30..40].map(|range| submit(&texts[range])).into();
            let found: Vec<Prediction> = tickets.into_iter().flat_map(|ticket| wait(ticket.wait()).unwrap()).collect();
            assert_eq!(found.len(), texts.len());
            for ((found, expected), text) in found.iter().zip(&expected).zip(&texts) {
                assert_eq!(bits(found), bits(expected), "{name}, {batch_tokens} tokens, {workers} workers: {text}");
                assert_eq!(found, expected);
            }
            queue.close();
        }
    }
}

#[test]
fn a_full_queue_refuses_at_once_and_takes_again_when_it_is_not() {
    let queue = queue(100, 512, 1);
    let first = queue.admit(1_000_000).expect("an empty queue takes one request of any size");
    assert!(queue.admit(1).is_err());
    drop(first);
    let (a, b) = (queue.admit(60).unwrap(), queue.admit(40).unwrap());
    assert!(queue.admit(1).is_err());
    assert!(wait(queue.admit_stream(100)).is_ok(), "streams have room of their own");
    drop(a);
    assert!(queue.admit(61).is_err());
    assert!(queue.admit(60).is_ok());
    drop(b);
    queue.close();
}

#[test]
fn a_closed_queue_finishes_what_it_has_and_takes_no_more() {
    let (queue, classifier) = (queue(1 << 20, 64, 2), classifier("fake"));
    let ticket = queue.submit(Arc::clone(&classifier), texts(30), Purpose::Labels, queue.admit(1).unwrap());
    queue.close();
    assert_eq!(wait(ticket.wait()).unwrap().len(), 30);
    let late = queue.submit(classifier, texts(1), Purpose::Labels, queue.admit(1).unwrap());
    assert!(matches!(wait(late.wait()), Err(Failure::Closed)));
}

/// A state with jobs of these texts, without workers.
fn state(jobs: Vec<(Arc<Classifier>, Vec<String>)>) -> (State, Vec<oneshot::Receiver<Outcome>>) {
    let mut state = State::default();
    let room = Arc::new(Semaphore::new(jobs.len()));
    let add = |(classifier, texts)| {
        let (sender, receiver) = oneshot::channel();
        let room = Room { _permit: Arc::new(Arc::clone(&room).try_acquire_owned().unwrap()) };
        state.add(Job::new(classifier, texts, Purpose::Labels, sender, room, Instant::now()));
        receiver
    };
    let receivers = jobs.into_iter().map(add).collect();
    (state, receivers)
}

/// What the next step is, with what it does done, except that nothing is encoded.
fn step(state: &mut State, batch_tokens: usize, tokenized_last: &mut bool) -> Option<Vec<Piece>> {
    match state.take(batch_tokens, *tokenized_last)? {
        Work::Tokenize(texts) => {
            *tokenized_last = true;
            for text in texts {
                state.tokenized(text.job, text.index, Arc::new(text.classifier.tokenize(&text.text).unwrap()));
            }
            Some(Vec::new())
        }
        Work::Encode { pieces, .. } => {
            *tokenized_last = false;
            Some(pieces)
        }
    }
}

#[test]
fn a_long_document_does_not_keep_a_short_one_waiting() {
    let classifier = classifier("fake");
    // One of many paragraphs, and one of a single paragraph of many windows; the short one comes last.
    let long = (Arc::clone(&classifier), texts(2000));
    let deep = (Arc::clone(&classifier), vec!["Waffenruhe und Beschuss ".repeat(20_000)]);
    let short = (Arc::clone(&classifier), vec!["Nein.".to_owned()]);
    let (mut state, _receivers) = state(vec![long, deep, short]);
    let (mut tokenized_last, mut batches) = (false, 0);
    loop {
        let pieces = step(&mut state, 256, &mut tokenized_last).expect("the short one is never reached");
        batches += usize::from(!pieces.is_empty());
        if pieces.iter().any(|piece| piece.job == 2) {
            break;
        }
        assert!(batches < 4, "{batches} batches before the short one");
    }
}

#[test]
fn batches_keep_to_their_budget_and_to_one_bundle() {
    let (one, two) = (classifier("fake"), classifier("tiny"));
    let jobs: Vec<_> = (0..6).map(|index| (Arc::clone(if index % 2 == 0 { &one } else { &two }), texts(20))).collect();
    let (mut state, _receivers) = state(jobs);
    let (mut tokenized_last, mut windows, mut largest) = (false, 0, 0);
    while let Some(pieces) = step(&mut state, 90, &mut tokenized_last) {
        let tokens: usize = pieces.iter().map(|piece| piece.encoding.windows[piece.window].ids.len()).sum();
        assert!(tokens <= 90 || pieces.len() == 1, "{} windows of {tokens} tokens", pieces.len());
        assert!(pieces.iter().all(|piece| piece.job % 2 == pieces[0].job % 2), "two bundles in one batch");
        windows += pieces.len();
        largest = largest.max(pieces.len());
    }
    let count = |classifier: &Classifier| -> usize {
        texts(20).iter().map(|text| classifier.tokenize(text).unwrap().windows.len()).sum()
    };
    assert_eq!(windows, 3 * (count(&one) + count(&two)));
    assert!(largest > 1, "nothing was batched");
}

#[test]
fn what_nobody_waits_for_is_not_computed() {
    let classifier = classifier("fake");
    let (mut state, _receivers) = state(vec![(Arc::clone(&classifier), texts(50)), (classifier, texts(3))]);
    let mut tokenized_last = false;
    while step(&mut state, 64, &mut tokenized_last).is_some_and(|pieces| pieces.is_empty()) {}
    assert!(state.remove(0).is_some());
    assert_eq!(state.waiting().0, 1);
    while let Some(pieces) = step(&mut state, 64, &mut tokenized_last) {
        assert!(pieces.iter().all(|piece| piece.job == 1), "a window of the request that was dropped");
    }
}

#[test]
fn dropping_a_ticket_gives_its_room_back() {
    let (queue, classifier) = (queue(100, 512, 1), classifier("fake"));
    let ticket = queue.submit(classifier, texts(2000), Purpose::Labels, queue.admit(100).unwrap());
    drop(ticket);
    assert_eq!(queue.shared.lock().waiting(), (0, 0, 0));
    assert!(queue.admit(100).is_ok());
    assert_eq!(queue.shared.metrics.cancelled.get(), 1);
    queue.close();
}

#[test]
fn a_queue_that_is_dropped_leaves_no_workers() {
    let queue = queue(100, 512, 3);
    let shared = Arc::downgrade(&queue.shared);
    drop(queue);
    let begun = Instant::now();
    while shared.strong_count() > 0 {
        assert!(begun.elapsed().as_secs() < 300, "{} workers are left", shared.strong_count());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn a_closed_queue_ends_when_nobody_waits_for_what_a_worker_does() {
    let (queue, classifier) = (Arc::new(queue(1 << 20, 512, 2)), classifier("fake"));
    let long = vec!["Waffenruhe und Beschuss ".repeat(20_000)];
    let ticket = queue.submit(classifier, long, Purpose::Labels, queue.admit(1).unwrap());
    let (sender, closed) = std::sync::mpsc::channel();
    let closing = Arc::clone(&queue);
    std::thread::spawn(move || {
        closing.close();
        sender.send(()).unwrap();
    });
    // Time for the worker that has nothing to do to see that the queue is not finished yet.
    std::thread::sleep(std::time::Duration::from_millis(20));
    drop(ticket);
    closed.recv_timeout(std::time::Duration::from_secs(300)).expect("a worker waits for ever");
}
