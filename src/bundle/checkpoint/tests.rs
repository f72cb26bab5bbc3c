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

/// The logits of a head or, without one, the vector.
fn outputs(checkpoint: &OpenCheckpoint, window: &Window) -> Vec<f32> {
    let vector = checkpoint.encoder.forward(&Batch { windows: vec![window], positions: vec![0] }).unwrap();
    checkpoint.head.as_ref().map_or(vector.clone(), |head| head.outputs(&vector))
}

#[test]
fn every_family_and_head_agrees_with_pytorch() {
    let (mut failures, mut count) = (Vec::new(), 0);
    for folder in fixtures() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let checkpoint = open(&folder, &EncoderOptions::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let reference: Reference = serde_json::from_slice(&fs::read(folder.join("reference.json")).unwrap()).unwrap();
        assert!(reference.texts.len() >= 6 && reference.alone.len() == reference.texts.len(), "{name}");
        let mut worst = (0.0f32, String::new());
        for (index, texts) in reference.texts.iter().enumerate() {
            let window = window(&checkpoint, texts);
            assert_eq!(window.ids, reference.ids[index], "{name}: {texts:?}");
            let found = outputs(&checkpoint, &window);
            for (case, expected) in [("alone", &reference.alone[index]), ("padded", &reference.padded[index])] {
                assert_eq!(found.len(), expected.len(), "{name}: {texts:?}");
                for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
                    let difference = (found - expected).abs();
                    if difference.is_nan() || difference > worst.0 {
                        worst =
                            (difference, format!("{texts:?}, {case}[{place}]: {found} here, {expected} in PyTorch"));
                    }
                }
            }
        }
        println!("{name}: largest difference {} at {}", worst.0, worst.1);
        if worst.0.is_nan() || worst.0 > TOLERANCE {
            failures.push(format!("{name}: largest difference {} at {}", worst.0, worst.1));
        }
        count += 1;
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(count >= 25, "{count} checkpoints");
}
