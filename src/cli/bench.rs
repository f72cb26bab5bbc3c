//! `detente bench`: how fast this machine labels, as a command that anybody can repeat.

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use detente::text::{self, ReadOptions};
use detente::{Classifier, Precision};
use serde_json::json;

use crate::cli::args::Bench;
use crate::cli::classify::open_classifier;
use crate::cli::exit::Exit;
use crate::cli::synthetic;

/// Paragraphs of the synthetic text: some ten seconds a round for a small encoder on two cores.
const SYNTHETIC_PARAGRAPHS: usize = 256;
/// Paragraphs in one call, as in `classify`.
const CHUNK_PARAGRAPHS: usize = 256;

/// Runs the verb.
///
/// # Errors
/// If the bundle or the file cannot be read.
pub(crate) fn bench(args: &Bench) -> anyhow::Result<Exit> {
    let (source, work) = match (&args.ids, &args.file) {
        (Some(path), _) => (path.display().to_string(), Work::Windows(windows(path)?)),
        (None, Some(path)) => (path.display().to_string(), Work::Texts(read(path)?)),
        (None, None) => ("synthetic text".to_owned(), Work::Texts(synthetic::paragraphs(SYNTHETIC_PARAGRAPHS))),
    };
    if let Some(model) = &args.engine.model {
        model.folder()?;
    }
    let begun = Instant::now();
    let classifier = open_classifier(&args.engine)?;
    if let Work::Texts(_) = work {
        classifier.check_labels()?;
    }
    let open_seconds = begun.elapsed().as_secs_f64();

    let (_, tokens) = work.round(&classifier)?;
    let mut seconds = Vec::new();
    for _ in 0..args.rounds {
        seconds.push(work.round(&classifier)?.0);
    }
    if let (Work::Windows(windows), Some(path)) = (&work, &args.vectors) {
        let vectors = serde_json::to_vec(&classifier.vectors_of_ids(windows)?)?;
        std::fs::write(path, vectors).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let paragraph_rate = Rate::of(work.count(), &seconds);
    let token_rate = Rate::of(tokens, &seconds);
    let peak = peak_memory_bytes();
    let info = classifier.info();
    let most = classifier.measure_peak();
    let most_products = match info.precision {
        Precision::Int8 => Some(most.int8),
        Precision::Bf16 => most.bf16,
        Precision::F32 => Some(most.f32),
    };
    let share =
        (info.products_per_token.zip(most_products)).map(|(products, most)| products as f64 * token_rate.median / most);
    let report = if args.json {
        let value = json!({
            "bundle": info.id,
            "program": env!("CARGO_PKG_VERSION"),
            "source": source,
            "paragraphs": work.count(),
            "tokens": tokens,
            "rounds": args.rounds,
            "paragraphs_per_second": paragraph_rate.as_json(),
            "tokens_per_second": token_rate.as_json(),
            "open_seconds": open_seconds,
            "peak_memory_bytes": peak,
            "kernel": info.kernel,
            "threads": classifier.threads(),
            "peak_int8_products_per_second": most.int8,
            "peak_bf16_products_per_second": most.bf16,
            "peak_f32_products_per_second": most.f32,
            "share_of_peak": share,
        });
        serde_json::to_string_pretty(&value)?
    } else {
        let memory = match peak {
            Some(bytes) => format!("{:.0} MB at most, the whole process", bytes as f64 / 1e6),
            None => "not known: this system has no /proc/self/status".to_owned(),
        };
        let bf16 = most.bf16.map_or_else(String::new, |rate| format!(", bf16 {:.0}", rate / 1e9));
        let billions = format!("int8 {:.0}{bf16}, f32 {:.0} billion products/s", most.int8 / 1e9, most.f32 / 1e9);
        let of_peak = match share {
            Some(share) => format!("{billions}; the matrix products alone take {:.0} % of it", share * 100.0),
            None => billions,
        };
        let lines = [
            ("bundle", info.id.clone()),
            ("text", format!("{source}: {} paragraphs, {tokens} tokens", work.count())),
            ("kernel", format!("{}, {} threads", info.kernel, classifier.threads())),
            ("paragraphs", format!("{paragraph_rate}")),
            ("tokens", format!("{token_rate}")),
            ("rounds", format!("{} after one to warm up: median (slowest … fastest)", args.rounds)),
            ("peak", of_peak),
            ("to open", format!("{open_seconds:.2} s")),
            ("memory", memory),
        ];
        lines.map(|(name, value)| format!("{name:<11} {value}")).join("\n")
    };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{report}").and_then(|()| stdout.flush()).context("cannot write <stdout>")?;
    Ok(Exit::Done)
}

/// The paragraphs of a file, all in memory, so that reading is not measured.
fn read(path: &Path) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for document in text::open(path, &ReadOptions::default())? {
        texts.extend(document?.paragraphs().map(|paragraph| paragraph.text().to_owned()));
    }
    if texts.is_empty() {
        bail!("{} holds no paragraph to measure with", path.display());
    }
    Ok(texts)
}

/// Windows of token ids, as `--ids` gives them.
fn windows(path: &Path) -> anyhow::Result<Vec<Vec<u32>>> {
    let file = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let windows: Vec<Vec<u32>> = serde_json::from_slice(&file)
        .with_context(|| format!("{} is no JSON array of arrays of token ids", path.display()))?;
    if windows.is_empty() {
        bail!("{} holds no window to measure with", path.display());
    }
    Ok(windows)
}

/// What a round does.
enum Work {
    /// Texts to labels.
    Texts(Vec<String>),
    /// Token ids to vectors.
    Windows(Vec<Vec<u32>>),
}

impl Work {
    /// Texts or windows.
    fn count(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Windows(windows) => windows.len(),
        }
    }

    /// Seconds that it took to do all of it once, and its tokens.
    fn round(&self, classifier: &Classifier) -> anyhow::Result<(f64, usize)> {
        let begun = Instant::now();
        let mut tokens = 0;
        match self {
            Self::Texts(texts) => {
                for chunk in texts.chunks(CHUNK_PARAGRAPHS) {
                    let predictions = classifier.classify_batch(chunk)?;
                    tokens += predictions.iter().map(|prediction| prediction.tokens()).sum::<usize>();
                }
            }
            Self::Windows(windows) => {
                for chunk in windows.chunks(CHUNK_PARAGRAPHS) {
                    std::hint::black_box(classifier.vectors_of_ids(chunk)?);
                    tokens += chunk.iter().map(Vec::len).sum::<usize>();
                }
            }
        }
        Ok((begun.elapsed().as_secs_f64(), tokens))
    }
}

/// Something per second: the median of the rounds, and their range.
struct Rate {
    median: f64,
    min: f64,
    max: f64,
}

impl Rate {
    /// `seconds` holds at least one round.
    fn of(count: usize, seconds: &[f64]) -> Self {
        let mut rates: Vec<f64> = seconds.iter().map(|seconds| count as f64 / seconds.max(1e-9)).collect();
        rates.sort_by(f64::total_cmp);
        let middle = rates.len() / 2;
        let median = if rates.len() % 2 == 1 { rates[middle] } else { (rates[middle - 1] + rates[middle]) / 2.0 };
        Self { median, min: rates[0], max: rates[rates.len() - 1] }
    }

    fn as_json(&self) -> serde_json::Value {
        json!({ "median": self.median, "min": self.min, "max": self.max })
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1}/s ({:.1} … {:.1})", self.median, self.min, self.max)
    }
}

/// The most memory that this process ever held, where the system says it.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_range_of_rounds() {
        let cases: [(&[f64], [f64; 3]); 3] =
            [(&[2.0], [50.0, 50.0, 50.0]), (&[1.0, 4.0, 2.0], [50.0, 25.0, 100.0]), (&[1.0, 2.0], [75.0, 50.0, 100.0])];
        for (seconds, expected) in cases {
            let rate = Rate::of(100, seconds);
            assert_eq!([rate.median, rate.min, rate.max], expected, "{seconds:?}");
        }
    }
}
