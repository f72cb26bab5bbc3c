//! A bundle with another calibration: the same encoder, tokenizer, heads and card under a new identity.
//!
//! In: a bundle, in a folder or inside the program, and a [`Calibration`]. Out: a new folder.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bundle::{hex_sha256, inconsistent, manifest_json, verify};
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
    /// [`Error::Bundle`] if the bundle is damaged or the calibration does not fit it; [`Error::Write`] if the folder exists
    /// or cannot be written.
    pub fn recalibrate(&self, calibration: &Calibration, output: &Path) -> Result<()> {
        let at = |what| Error::Bundle { path: self.path(), what };
        let manifest = self.load("bundle.json").map_err(at)?;
        let json = manifest_json(&manifest).map_err(at)?;
        let mut files = Vec::new();
        for (file, expected) in &json.files {
            let bytes = self.load(file).map_err(at)?;
            verify(file, &bytes, expected).map_err(at)?;
            files.push((file.as_str(), bytes));
        }
        let fault = |source| BundleFault::Json { file: CALIBRATION.into(), source };
        let mut bytes = serde_json::to_vec_pretty(calibration).map_err(fault).map_err(at)?;
        bytes.push(b'\n');
        Calibration::read(&bytes, &json.scheme, json.head.scale).map_err(at)?;
        let manifest = with_calibration(&manifest, &bytes).map_err(at)?;
        let entry = files.iter_mut().find(|(file, _)| *file == CALIBRATION);
        let (_, entry) = entry.ok_or_else(|| at(inconsistent(format!("{CALIBRATION} is not among the files"))))?;
        *entry = bytes;
        files.push(("bundle.json", manifest));
        write(output, &files)
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
                let missing = || inconsistent(format!("{file} is not inside the program"));
                found.map(|(_, bytes)| bytes.to_vec()).ok_or_else(missing)
            }
            #[cfg(not(feature = "embedded"))]
            Self::Embedded => Err(BundleFault::NotEmbedded),
        }
    }
}

/// The manifest with the size and the hash of the new calibration; everything else stays as it is, in its order.
fn with_calibration(manifest: &[u8], calibration: &[u8]) -> Result<Vec<u8>, BundleFault> {
    let fault = |source| BundleFault::Json { file: "bundle.json".into(), source };
    let mut value: Value = serde_json::from_slice(manifest).map_err(fault)?;
    value["files"][CALIBRATION] = json!({"bytes": calibration.len(), "sha256": hex_sha256(calibration)});
    let mut bytes = serde_json::to_vec_pretty(&value).map_err(fault)?;
    bytes.push(b'\n');
    Ok(bytes)
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
