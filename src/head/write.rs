//! Heads to the bytes of `heads.safetensors`.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::encoder::Weights;
use crate::error::BundleFault;
use crate::head::{FILE, HeadRow, HeadRows};

/// A tensor's type, shape and little-endian bytes.
type Tensor = (Dtype, Vec<usize>, Vec<u8>);

/// The file of heads that stand alone; `scale` is the name of the scheme's scale.
pub(crate) fn to_bytes(rows: &HeadRows, scale: Option<&str>) -> Result<Vec<u8>, BundleFault> {
    let mut tensors = BTreeMap::new();
    insert(&mut tensors, "topics", &rows.topics);
    if let Some(scale) = scale {
        insert(&mut tensors, scale, &rows.scale);
    }
    insert(&mut tensors, "boilerplate", rows.boilerplate.as_slice());
    serialize(&tensors)
}

/// The file `bytes` with more topics behind its own `topics`; every other tensor stays as it is.
pub(crate) fn with_topics(bytes: &[u8], topics: usize, more: &[HeadRow]) -> Result<Vec<u8>, BundleFault> {
    let fault = |source| BundleFault::Tensors { file: FILE.into(), source };
    let old = SafeTensors::deserialize(bytes).map_err(fault)?;
    let copy =
        |(name, view): (String, TensorView<'_>)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()));
    let mut tensors: BTreeMap<String, Tensor> = old.tensors().into_iter().map(copy).collect();
    let mut rows = Vec::new();
    if topics > 0 {
        let weights = Weights::read(FILE, bytes)?;
        let columns = weights.shape("topics.weight")?.get(1).copied().unwrap_or(0);
        let bias = weights.f32("topics.bias", &[topics])?;
        let weight = weights.f32("topics.weight", &[topics, columns])?;
        let row = |(weight, bias): (&[f32], f32)| HeadRow { weight: weight.to_vec(), bias };
        rows.extend(weight.chunks_exact(columns.max(1)).zip(bias).map(row));
    }
    rows.extend_from_slice(more);
    insert(&mut tensors, "topics", &rows);
    serialize(&tensors)
}

fn insert(tensors: &mut BTreeMap<String, Tensor>, name: &str, rows: &[HeadRow]) {
    let Some(first) = rows.first() else { return };
    let bytes = |values: &mut dyn Iterator<Item = f32>| values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    let weight = bytes(&mut rows.iter().flat_map(|row| row.weight.iter().copied()));
    let bias = bytes(&mut rows.iter().map(|row| row.bias));
    tensors.insert(format!("{name}.weight"), (Dtype::F32, vec![rows.len(), first.weight.len()], weight));
    tensors.insert(format!("{name}.bias"), (Dtype::F32, vec![rows.len()], bias));
}

fn serialize(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, BundleFault> {
    let fault = |source| BundleFault::Tensors { file: FILE.into(), source };
    let mut views = Vec::with_capacity(tensors.len());
    for (name, (dtype, shape, bytes)) in tensors {
        views.push((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).map_err(fault)?));
    }
    safetensors::serialize(views, None).map_err(fault)
}
