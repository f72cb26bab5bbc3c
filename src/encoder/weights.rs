//! Tensors of a safetensors file, checked and widened to f32.

use std::collections::BTreeMap;
use std::sync::Arc;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};

use crate::encoder::Family;
use crate::error::BundleFault;

/// The safetensors of a bundle or a checkpoint, in one file or several.
#[derive(Clone)]
pub(crate) struct Weights<'b> {
    shards: Arc<[Shard<'b>]>,
    /// What stands before every name that is asked for.
    prefix: &'static str,
}

struct Shard<'b> {
    file: String,
    tensors: SafeTensors<'b>,
}

/// Row-major int8 numbers, each row by its own scale.
pub(crate) struct Int8Matrix {
    pub(crate) values: Vec<i8>,
    pub(crate) scales: Vec<f32>,
}

impl<'b> Weights<'b> {
    /// Reads the header; `file` is the name that messages give.
    pub(crate) fn read(file: &str, bytes: &'b [u8]) -> Result<Self, BundleFault> {
        Self::read_shards(&[(file, bytes)])
    }

    /// Reads the headers of files that hold the tensors together; there is one at least.
    pub(crate) fn read_shards(files: &[(&str, &'b [u8])]) -> Result<Self, BundleFault> {
        let shard = |&(file, bytes): &(&str, &'b [u8])| {
            let tensors = SafeTensors::deserialize(bytes).map_err(|source| unreadable(file, bytes, source))?;
            Ok(Shard { file: file.into(), tensors })
        };
        Ok(Self { shards: files.iter().map(shard).collect::<Result<_, _>>()?, prefix: "" })
    }

    /// The same tensors, asked for by what stands behind the prefix.
    fn under(&self, prefix: &'static str) -> Self {
        Self { shards: Arc::clone(&self.shards), prefix }
    }

    /// The encoder's own tensors, whatever stands before their names.
    pub(crate) fn of_encoder(&self, family: Family) -> Self {
        let prefix = family.prefix();
        let has_prefix = self.contains(&format!("{prefix}{}", family.word_embeddings()));
        self.under(if has_prefix { prefix } else { "" })
    }

    /// All weights, by what stands behind the prefix, under the names that are asked for; the pooler, which belongs to a head,
    /// is left out.
    pub(crate) fn tensors(&self) -> BTreeMap<String, TensorView<'_>> {
        let tensors = self.shards.iter().flat_map(|shard| shard.tensors.iter());
        let named = tensors.filter_map(|(name, view)| Some((name.strip_prefix(self.prefix)?, view)));
        let kept = named.filter(|(name, view)| is_weight(name, view) && !name.starts_with("pooler."));
        kept.map(|(name, view)| (new_name(name), view)).collect()
    }

    /// Whether a tensor of that name is there.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Number of weights; scales of int8 tensors are none.
    pub(crate) fn count(&self) -> usize {
        let tensors = self.shards.iter().flat_map(|shard| shard.tensors.iter());
        let named = tensors.filter(|(name, view)| name.starts_with(self.prefix) && is_weight(name, view));
        named.map(|(_, view)| view.shape().iter().product::<usize>()).sum()
    }

    /// A tensor as f32, row-major, of exactly the expected shape, all values finite. I8 is multiplied by its row's scale
    /// in `<name>.scale`: those products are what the model means.
    pub(crate) fn f32(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, BundleFault> {
        let (file, view) = self.view(name, expected)?;
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            Dtype::F16 => data.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
            Dtype::BF16 => data.as_chunks().0.iter().map(|&bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
            Dtype::I8 => {
                let scales = self.f32(&format!("{name}.scale"), &expected[..1])?;
                let columns = expected[1..].iter().product::<usize>().max(1);
                let rows = data.chunks_exact(columns).zip(&scales);
                rows.flat_map(|(row, &scale)| row.iter().map(move |&byte| f32::from(byte.cast_signed()) * scale))
                    .collect()
            }
            other => {
                return Err(BundleFault::Dtype {
                    file: file.into(),
                    tensor: self.full(name),
                    found: format!("{other:?}"),
                });
            }
        };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(BundleFault::NotFinite { file: file.into(), tensor: self.full(name) });
        }
        Ok(values)
    }

    /// A matrix as int8 rows with a scale for each; other types are quantised here, each row
    /// to 127 steps either way.
    pub(crate) fn int8(&self, name: &str, rows: usize, columns: usize) -> Result<Int8Matrix, BundleFault> {
        let (_, view) = self.view(name, &[rows, columns])?;
        if view.dtype() == Dtype::I8 {
            let scales = self.f32(&format!("{name}.scale"), &[rows])?;
            return Ok(Int8Matrix { values: view.data().iter().map(|byte| byte.cast_signed()).collect(), scales });
        }
        let mut matrix = Int8Matrix { values: Vec::with_capacity(rows * columns), scales: Vec::with_capacity(rows) };
        for row in self.f32(name, &[rows, columns])?.chunks_exact(columns) {
            let scale = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs())) / 127.0;
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            matrix.values.extend(row.iter().map(|value| (value * inverse).round_ties_even() as i8));
            matrix.scales.push(scale);
        }
        Ok(matrix)
    }

    /// Whether a tensor is stored as int8.
    pub(crate) fn is_int8(&self, name: &str) -> bool {
        self.find(name).is_some_and(|(_, view)| view.dtype() == Dtype::I8)
    }

    /// The shape of a tensor.
    pub(crate) fn shape(&self, name: &str) -> Result<Vec<usize>, BundleFault> {
        self.find(name).map(|(_, view)| view.shape().to_vec()).ok_or_else(|| self.missing(name))
    }

    fn view(&self, name: &str, expected: &[usize]) -> Result<(&str, TensorView<'_>), BundleFault> {
        let (file, view) = self.find(name).ok_or_else(|| self.missing(name))?;
        if view.shape() != expected {
            return Err(BundleFault::Shape {
                file: file.into(),
                tensor: self.full(name),
                expected: expected.to_vec(),
                found: view.shape().to_vec(),
            });
        }
        Ok((file, view))
    }

    /// The tensor and the file that it is in.
    fn find(&self, name: &str) -> Option<(&str, TensorView<'_>)> {
        let full = self.full(name);
        let find = |name: &str| {
            self.shards.iter().find_map(|shard| Some((shard.file.as_str(), shard.tensors.tensor(name).ok()?)))
        };
        find(&full).or_else(|| find(&old_name(&full)?))
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn missing(&self, name: &str) -> BundleFault {
        let files: Vec<&str> = self.shards.iter().map(|shard| shard.file.as_str()).collect();
        BundleFault::MissingTensor { file: files.join(", "), tensor: self.full(name) }
    }
}

/// The name that checkpoints older than PyTorch's layer norm give to the same tensor; transformers renames them, too.
fn old_name(name: &str) -> Option<String> {
    let old = |new: &str, old: &str| Some(format!("{}{old}", name.strip_suffix(new)?));
    old("LayerNorm.weight", "LayerNorm.gamma").or_else(|| old("LayerNorm.bias", "LayerNorm.beta"))
}

/// The other way round.
fn new_name(name: &str) -> String {
    name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
}

fn is_weight(name: &str, view: &TensorView<'_>) -> bool {
    !name.ends_with(".scale") && matches!(view.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::I8)
}

/// Says what is wrong with a file that holds no safetensors.
fn unreadable(file: &str, bytes: &[u8], source: SafeTensorError) -> BundleFault {
    let file = file.to_owned();
    if bytes.starts_with(b"version https://git-lfs") {
        return BundleFault::Pointer { file };
    }
    match whole_size(bytes) {
        Some(expected) if (bytes.len() as u64) < expected => {
            BundleFault::CutShort { file, expected, found: bytes.len() as u64 }
        }
        _ => BundleFault::Tensors { file, source },
    }
}

/// Bytes that a safetensors file has by its own header, if there is one.
fn whole_size(bytes: &[u8]) -> Option<u64> {
    /// Longest header that the format allows.
    const LONGEST: u64 = 100_000_000;
    let length = bytes.first_chunk().map(|&length| u64::from_le_bytes(length)).filter(|&length| length <= LONGEST)?;
    let begin = length + 8;
    let Some(header) = bytes.get(8..begin as usize) else {
        return bytes.get(8).is_none_or(|&first| first == b'{').then_some(begin);
    };
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    let ends = header.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    begin.checked_add(ends.max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn file(tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
        let views: HashMap<String, TensorView<'_>> = tensors
            .iter()
            .map(|(name, dtype, shape, data)| {
                ((*name).to_string(), TensorView::new(*dtype, shape.clone(), data).unwrap())
            })
            .collect();
        safetensors::serialize(views, None).unwrap()
    }

    fn le(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn int8_rows_are_multiplied_by_their_scale() {
        let data: Vec<u8> = [-127i8, 0, 127, 1, -2, 3].iter().map(|value| value.cast_unsigned()).collect();
        let bytes = file(&[("w", Dtype::I8, vec![2, 3], data), ("w.scale", Dtype::F32, vec![2], le(&[0.5, 2.0]))]);
        let weights = Weights::read("encoder.safetensors", &bytes).unwrap();
        assert_eq!(weights.f32("w", &[2, 3]).unwrap(), [-63.5, 0.0, 63.5, 2.0, -4.0, 6.0]);
    }

    #[test]
    fn faults_name_the_tensor() {
        let bytes = file(&[
            ("nan", Dtype::F32, vec![2], le(&[1.0, f32::NAN])),
            ("int", Dtype::I64, vec![1], vec![0; 8]),
            ("half", Dtype::F16, vec![1], f16::INFINITY.to_le_bytes().to_vec()),
            ("unscaled", Dtype::I8, vec![2, 1], vec![1, 2]),
        ]);
        let weights = Weights::read("encoder.safetensors", &bytes).unwrap();
        let cases: [(&str, &[usize], &str); 6] = [
            ("nan", &[2], "encoder.safetensors: tensor nan holds a value that is not finite"),
            ("half", &[1], "encoder.safetensors: tensor half holds a value that is not finite"),
            ("nan", &[3], "encoder.safetensors: tensor nan has shape [2], the configuration asks for [3]"),
            (
                "int",
                &[1],
                "encoder.safetensors: tensor int is stored as I64; F32, F16, BF16 and I8 with a .scale tensor are read",
            ),
            ("gone", &[1], "encoder.safetensors has no tensor gone"),
            ("unscaled", &[2, 1], "encoder.safetensors has no tensor unscaled.scale"),
        ];
        for (name, shape, message) in cases {
            assert_eq!(weights.f32(name, shape).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn truncated_and_lying_files_are_refused() {
        let bytes = file(&[("w", Dtype::F32, vec![4], le(&[0.0; 4]))]);
        for cut in 0..bytes.len() {
            assert!(Weights::read("encoder.safetensors", &bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut lying = bytes.clone();
        lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(Weights::read("encoder.safetensors", &lying).is_err());
    }
}
