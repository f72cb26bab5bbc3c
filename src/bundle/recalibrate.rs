//! A bundle with another calibration: the same encoder, tokenizer, heads and card under a new identity. Also what every
//! change of a bundle has in common: all files are verified, the manifest is written last.
//!
//! In: a bundle, in a folder or inside the program, and a [`Calibration`]. Out: a new folder.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bundle::checkpoint::{self, Exported};
use crate::bundle::{BundleJson, hex_sha256, manifest_json, verify};
use crate::calibration::Calibration;
use crate::error::{BundleFault, Error, Result};

const CALIBRATION: &str = "calibration.json";

/// Where a bundle is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleSource {
    /// Inside the program.
    Embedded,
    /// In a folder.
    Folder(PathBuf),
}

impl BundleSource {
    /// Writes the bundle with another calibration into the new folder `output`: every file that the manifest names, byte for
    /// byte, but `calibration.json`, whose size and sha256 in `bundle.json` are the new ones. `bundle.json` comes last,
    /// so that what was cut short is no bundle.
    ///
    /// # Errors
    /// [`Error::Bundle`] if the bundle is damaged or the calibration does not fit it; [`Error::Missing`] of a checkpoint;
    /// [`Error::Write`] if the folder exists or cannot be written.
    pub fn recalibrate(&self, calibration: &Calibration, output: &Path) -> Result<()> {
        self.check_is_bundle()?;
        self.rewrite(output, |json, _| {
            let mut bytes = fault_of(CALIBRATION, serde_json::to_vec_pretty(calibration))?;
            bytes.push(b'\n');
            Calibration::read(&bytes, &json.scheme, json.head.scale)?;
            Ok(Change { files: vec![(CALIBRATION, bytes)], fields: Vec::new() })
        })
    }

    /// Writes the bundle with some of its files and of the manifest's fields changed into the new folder `output`.
    pub(crate) fn rewrite(
        &self,
        output: &Path,
        change: impl FnOnce(&BundleJson, &[(&str, Vec<u8>)]) -> Result<Change, BundleFault>,
    ) -> Result<()> {
        let at = |what| Error::Bundle { path: self.path(), what };
        let (manifest, exported) = match self.checkpoint() {
            Some(folder) => {
                let Exported { manifest, files } = checkpoint::export(folder)?;
                (manifest, files)
            }
            None => (self.load("bundle.json").map_err(at)?, Vec::new()),
        };
        let json = manifest_json(&manifest).map_err(at)?;
        let mut files = Vec::new();
        for (file, expected) in &json.files {
            let bytes = match exported.iter().find(|(name, _)| name == file) {
                Some((_, bytes)) => bytes.clone(),
                None => self.load(file).map_err(at)?,
            };
            verify(file, &bytes, expected).map_err(at)?;
            files.push((file.as_str(), bytes));
        }
        let change = change(&json, &files).map_err(at)?;
        let manifest = with_change(&manifest, &change).map_err(at)?;
        for (file, bytes) in change.files {
            match files.iter_mut().find(|(name, _)| *name == file) {
                Some((_, entry)) => *entry = bytes,
                None => files.push((file, bytes)),
            }
        }
        files.push(("bundle.json", manifest));
        write(output, &files)
    }

    /// The folder, if it is that of a checkpoint.
    fn checkpoint(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) if checkpoint::is_checkpoint(folder) => Some(folder),
            _ => None,
        }
    }

    /// Refuses checkpoints where something of a bundle is to be kept.
    ///
    /// # Errors
    /// [`Error::Missing`] of a checkpoint.
    pub fn check_is_bundle(&self) -> Result<()> {
        let Some(folder) = self.checkpoint() else { return Ok(()) };
        let missing =
            "is a checkpoint of transformers, not a bundle: it has no heads and no calibration that could be kept \
            or fitted; `detente fit` without --keep-heads makes a bundle on its encoder"
                .into();
        Err(Error::Missing { id: folder.display().to_string(), missing })
    }

    /// Refuses what no bundle can be made of, before long work.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] of a checkpoint whose vectors a bundle cannot describe.
    pub fn check_encoder(&self) -> Result<()> {
        self.checkpoint().map_or(Ok(()), checkpoint::check_export)
    }

    /// The folder, or what errors call the bundle inside the program.
    fn path(&self) -> PathBuf {
        match self {
            Self::Embedded => "<embedded>".into(),
            Self::Folder(folder) => folder.clone(),
        }
    }

    fn load(&self, file: &str) -> Result<Vec<u8>, BundleFault> {
        match self {
            Self::Folder(folder) => {
                fs::read(folder.join(file)).map_err(|source| BundleFault::MissingFile { file: file.into(), source })
            }
            #[cfg(feature = "embedded")]
            Self::Embedded => {
                let found = crate::bundle::EMBEDDED.iter().find(|(name, _)| *name == file);
                let missing = || crate::bundle::inconsistent(format!("{file} is not inside the program"));
                found.map(|(_, bytes)| bytes.to_vec()).ok_or_else(missing)
            }
            #[cfg(not(feature = "embedded"))]
            Self::Embedded => Err(BundleFault::NotEmbedded),
        }
    }
}

/// What of a bundle is new.
pub(crate) struct Change {
    /// Files that the manifest names already.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
    /// Fields of the manifest.
    pub(crate) fields: Vec<(&'static str, Value)>,
}

/// The manifest with the new fields and the sizes and hashes of the new files; everything else stays as it is, in its order.
fn with_change(manifest: &[u8], change: &Change) -> Result<Vec<u8>, BundleFault> {
    let mut value: Value = fault_of("bundle.json", serde_json::from_slice(manifest))?;
    for (field, new) in &change.fields {
        value[field] = new.clone();
    }
    for (file, bytes) in &change.files {
        value["files"][file] = json!({"bytes": bytes.len(), "sha256": hex_sha256(bytes)});
    }
    let mut bytes = fault_of("bundle.json", serde_json::to_vec_pretty(&value))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The result, with an error that names the file.
pub(crate) fn fault_of<T>(file: &str, result: serde_json::Result<T>) -> Result<T, BundleFault> {
    result.map_err(|source| BundleFault::Json { file: file.into(), source })
}

fn write(output: &Path, files: &[(&str, Vec<u8>)]) -> Result<()> {
    fs::create_dir(output).map_err(|source| Error::Write { path: output.into(), source })?;
    for (file, bytes) in files {
        let path = output.join(file);
        if let Err(source) = fs::write(&path, bytes) {
            // Half a bundle is of no use, and would stand in the way of the next try; the error is what counts.
            let _ = fs::remove_dir_all(output);
            return Err(Error::Write { path, source });
        }
    }
    Ok(())
}
