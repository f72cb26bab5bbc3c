//! Tiny random checkpoints of every family and head against PyTorch (`scripts/make_checkpoints.py`).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;
use crate::encode::{Batch, PairFrame, Window};

/// Two f32 implementations of one graph that add in different orders.
const TOLERANCE: f32 = 1e-4;

/// What PyTorch says of texts or pairs of texts.
#[derive(Deserialize)]
struct Reference {
    texts: Vec<Vec<String>>,
    ids: Vec<Vec<u32>>,
    /// Each text run alone.
    alone: Vec<Vec<f32>>,
    /// All of them in one batch, padded to the longest.
    padded: Vec<Vec<f32>>,
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints");
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// The one window of a text or a pair.
fn window(checkpoint: &OpenCheckpoint, texts: &[String]) -> Window {
    let mut windows = match texts {
        [text] => checkpoint.tokenizer.encode(text).unwrap().windows,
        [premise, hypothesis] => {
            let frame = PairFrame::of(&checkpoint.tokenizer, checkpoint.max_length).unwrap();
            let ids = [premise, hypothesis].map(|text| checkpoint.tokenizer.content_ids(text).unwrap());
            frame.windows(&ids[0], &ids[1]).unwrap()
        }
        _ => panic!("one text or two"),
    };
    assert_eq!(windows.len(), 1);
    windows.remove(0)
}

/// What computes by itself, and Candle.
fn both_paths() -> [EncoderOptions; 2] {
    [EncoderOptions::default(), EncoderOptions { kernel: Some("candle".into()), ..EncoderOptions::default() }]
}

/// The logits of a head or, without one, the vector.
fn outputs(checkpoint: &OpenCheckpoint, window: &Window) -> Vec<f32> {
    let vector = checkpoint.encoder.forward(&Batch { windows: vec![window], positions: vec![0] }).unwrap();
    checkpoint.head.as_ref().map_or(vector.clone(), |head| head.outputs(&vector))
}

/// Largest difference from PyTorch, and where.
fn compare(folder: &Path, reference: &Path) -> (f32, String) {
    let both = both_paths().map(|options| compare_with(folder, reference, &options));
    both.into_iter().max_by(|one, two| one.0.total_cmp(&two.0)).unwrap()
}

fn compare_with(folder: &Path, reference: &Path, options: &EncoderOptions) -> (f32, String) {
    let checkpoint = open(folder, options).unwrap_or_else(|error| panic!("{error}"));
    let reference: Reference = serde_json::from_slice(&fs::read(reference).unwrap()).unwrap();
    assert!(reference.texts.len() >= 6 && reference.alone.len() == reference.texts.len());
    let mut worst = (0.0f32, String::new());
    for (index, texts) in reference.texts.iter().enumerate() {
        let window = window(&checkpoint, texts);
        assert_eq!(window.ids, reference.ids[index], "{}: {texts:?}", folder.display());
        let found = outputs(&checkpoint, &window);
        for (case, expected) in [("alone", &reference.alone[index]), ("padded", &reference.padded[index])] {
            assert_eq!(found.len(), expected.len(), "{}: {texts:?}", folder.display());
            for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
                let difference = (found - expected).abs();
                if difference.is_nan() || difference > worst.0 {
                    worst = (difference, format!("{texts:?}, {case}[{place}]: {found} here, {expected} in PyTorch"));
                }
            }
        }
    }
    worst
}

#[test]
fn every_family_and_head_agrees_with_pytorch() {
    let mut failures = Vec::new();
    let folders = fixtures();
    assert!(folders.len() >= 25, "{} checkpoints", folders.len());
    for folder in folders {
        let (worst, place) = compare(&folder, &folder.join("reference.json"));
        let name = folder.file_name().unwrap().to_string_lossy();
        let line = format!("{name}: largest difference {worst} at {place}");
        println!("{line}");
        if worst.is_nan() || worst > TOLERANCE {
            failures.push(line);
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Six decimals of a reference, and two f32 implementations of six layers.
const REAL_TOLERANCE: f32 = 1e-5;

/// The folder of all-MiniLM-L6-v2, which `scripts/check.sh` fetches.
const REAL: &str = "DETENTE_TEST_MINILM";

#[test]
fn tokens_for_padding_do_not_count_as_positions_of_roberta() {
    for name in ["xlm-roberta-multi", "bert-multi-v4"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints").join(name);
        let [own, candle] = both_paths().map(|options| {
            let checkpoint = open(&folder, &options).unwrap_or_else(|error| panic!("{error}"));
            let mut window = window(&checkpoint, &["The guns fell silent.".to_owned()]);
            // The id of padding, in the middle and twice in a row.
            for place in [2, 3, 5] {
                window.ids[place] = 1;
            }
            outputs(&checkpoint, &window)
        });
        for (own, candle) in own.iter().zip(&candle) {
            assert!((own - candle).abs() < TOLERANCE, "{name}: {own}, on Candle {candle}");
        }
    }
}

#[test]
fn the_real_minilm_agrees_with_pytorch() {
    let Some(folder) = std::env::var_os(REAL) else {
        println!("skipped: {REAL} does not name the folder of all-MiniLM-L6-v2; scripts/check.sh fetches it");
        return;
    };
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/minilm-reference.json");
    let (worst, place) = compare(Path::new(&folder), &reference);
    println!("largest difference {worst} at {place}");
    assert!(worst <= REAL_TOLERANCE, "largest difference {worst} at {place}");
}
