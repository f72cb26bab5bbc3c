//! Requests and answers of the Open Inference Protocol: tensors in JSON, or as bytes behind it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::bundle::BundleInfo;
use crate::label::Prediction;
use crate::serve::answer::Refused;
use crate::serve::routes::infer::TEXT;
use crate::serve::routes::infer::outputs::{Output, Values};

/// Says how many bytes behind the JSON are the tensor's.
const BINARY_SIZE: &str = "binary_data_size";
/// Asks for one output as bytes.
const BINARY: &str = "binary_data";
/// Asks for all outputs as bytes.
const BINARY_ALL: &str = "binary_data_output";

/// A request.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct InferRequest {
    /// Comes back in the answer.
    id: Option<String>,
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    /// One tensor named `text`.
    inputs: Vec<InferInput>,
    /// The outputs to give; all by default.
    outputs: Option<Vec<InferWanted>>,
}

/// The tensor of texts.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct InferInput {
    /// `text`.
    #[schema(example = "text")]
    name: String,
    /// [N] or [N, 1].
    #[schema(example = json!([1]))]
    shape: Vec<u64>,
    /// `BYTES`.
    #[schema(example = "BYTES")]
    datatype: String,
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    /// The texts, flat or nested as the shape says; absent if they follow as bytes.
    #[schema(value_type = Option<Vec<String>>, example = json!(["Beide Seiten haben sich auf eine Waffenruhe geeinigt."]))]
    data: Option<Value>,
}

/// An output that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct InferWanted {
    /// Its name.
    #[schema(example = "escalation")]
    name: String,
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InferAnswer {
    model_name: String,
    model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outputs: Vec<InferOutput>,
}

/// A tensor of labels.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InferOutput {
    name: String,
    shape: Vec<usize>,
    datatype: &'static str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object, required = false)]
    parameters: Map<String, Value>,
    /// The values, flat; absent if they follow as bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Value>>)]
    data: Option<Values>,
}

impl InferRequest {
    /// The texts of the request; `binary` is what follows its JSON.
    ///
    /// # Errors
    /// If the tensor is not one of texts, or holds another number of them than its shape says.
    pub(crate) fn texts(&self, binary: &[u8]) -> Result<Vec<String>, Refused> {
        let [input] = self.inputs.as_slice() else {
            return Err(Refused::invalid(format!("one input is taken, {TEXT:?}; {} were given", self.inputs.len())));
        };
        if input.name != TEXT || input.datatype != "BYTES" {
            let found = format!("{:?} of type {:?}", input.name, input.datatype);
            return Err(Refused::invalid(format!("the input must be {TEXT:?} of type \"BYTES\", not {found}")));
        }
        let count = match input.shape.as_slice() {
            [count] | [count, 1] => *count,
            other => return Err(Refused::invalid(format!("the shape must be [N] or [N, 1], not {other:?}"))),
        };
        let texts = match (input.parameters.get(BINARY_SIZE).map(Value::as_u64), &input.data) {
            (None, Some(data)) => flat(data)?,
            (Some(Some(size)), None) if size == binary.len() as u64 => unpacked(binary)?,
            (Some(_), None) => {
                let what = format!("{BINARY_SIZE} must be the {} bytes that follow the JSON", binary.len());
                return Err(Refused::invalid(what));
            }
            _ => {
                return Err(Refused::invalid(format!("give the texts either as data or as bytes, with {BINARY_SIZE}")));
            }
        };
        if texts.len() as u64 == count {
            Ok(texts)
        } else {
            Err(Refused::invalid(format!("the shape says {count} texts, the tensor holds {}", texts.len())))
        }
    }

    /// The outputs that are asked for, and whether each is to come as bytes.
    ///
    /// # Errors
    /// If there is no such output, or one is asked for twice: each takes room in the answer.
    pub(crate) fn wanted(&self, all: &[Output]) -> Result<Vec<(Output, bool)>, Refused> {
        let is_set = |parameters: &Map<String, Value>, name: &str| parameters.get(name).and_then(Value::as_bool);
        let as_bytes = is_set(&self.parameters, BINARY_ALL).unwrap_or(false);
        let Some(wanted) = self.outputs.as_ref().filter(|wanted| !wanted.is_empty()) else {
            return Ok(all.iter().map(|output| (output.clone(), as_bytes)).collect());
        };
        let find = |wanted: &InferWanted| {
            let found = all.iter().find(|output| output.name == wanted.name).cloned();
            let names = || all.iter().map(|output| output.name.as_str()).collect::<Vec<_>>();
            let unknown = || Refused::invalid(format!("there is no output {:?}; there are {:?}", wanted.name, names()));
            Ok((found.ok_or_else(unknown)?, is_set(&wanted.parameters, BINARY).unwrap_or(as_bytes)))
        };
        let mut seen = BTreeSet::new();
        match wanted.iter().find(|wanted| !seen.insert(wanted.name.as_str())) {
            Some(twice) => Err(Refused::invalid(format!("the output {:?} is asked for twice", twice.name))),
            None => wanted.iter().map(find).collect(),
        }
    }

    /// The answer, and the bytes that follow it.
    pub(crate) fn answer(
        &self,
        info: &BundleInfo,
        wanted: &[(Output, bool)],
        predictions: &[Prediction],
    ) -> (InferAnswer, Vec<u8>) {
        let mut binary = Vec::new();
        let output = |(output, as_bytes): &(Output, bool)| {
            let values = output.values(predictions);
            let mut parameters = Map::new();
            let data = if *as_bytes {
                let bytes = values.to_bytes();
                parameters.insert(BINARY_SIZE.into(), bytes.len().into());
                binary.extend(bytes);
                None
            } else {
                Some(values)
            };
            let shape = std::iter::once(predictions.len()).chain(output.width).collect();
            InferOutput { name: output.name.clone(), shape, datatype: output.datatype(), parameters, data }
        };
        let outputs = wanted.iter().map(output).collect();
        let (model_name, model_version) = (info.name.clone(), info.version.clone());
        (InferAnswer { model_name, model_version, id: self.id.clone(), outputs }, binary)
    }
}

/// The strings of a list of strings, or of lists of strings.
fn flat(data: &Value) -> Result<Vec<String>, Refused> {
    let wrong = || Refused::invalid("data must be a list of strings, or a list of lists of one string");
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Array(values) => match values.as_slice() {
            [Value::String(text)] => Ok(text.clone()),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    };
    data.as_array().ok_or_else(wrong)?.iter().map(text).collect()
}

/// Texts that stand one after another, each behind its length in four bytes, the lowest first.
fn unpacked(mut bytes: &[u8]) -> Result<Vec<String>, Refused> {
    let cut =
        || Refused::invalid("the bytes of the tensor are cut short: each text stands behind its length in 4 bytes");
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| cut())?;
        let (text, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        let text = std::str::from_utf8(text);
        let text =
            text.map_err(|error| Refused::invalid(format!("text {} is not valid UTF-8: {error}", texts.len())))?;
        texts.push(text.to_owned());
        bytes = rest;
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_unpacked_and_cuts_are_found() {
        let packed = Values::Bytes(vec!["Grüße".into(), String::new(), "мир".into()]).to_bytes();
        assert_eq!(unpacked(&packed).unwrap(), ["Grüße", "", "мир"]);
        for end in 1..packed.len() {
            // After a whole text the rest is simply missing.
            let is_whole = [11, 15].contains(&end);
            assert_eq!(unpacked(&packed[..end]).is_ok(), is_whole, "{end}");
        }
        assert!(unpacked(&[255, 255, 255, 255, 65]).is_err());
        let message = unpacked(&[1, 0, 0, 0, 0xff]).unwrap_err();
        assert!(message.message().starts_with("text 0 is not valid UTF-8"), "{}", message.message());
    }

    #[test]
    fn tensors_that_do_not_fit_are_refused() {
        let request = |input: Value| -> Result<Vec<String>, Refused> {
            serde_json::from_value::<InferRequest>(serde_json::json!({ "inputs": [input] })).unwrap().texts(&[])
        };
        let good = serde_json::json!({"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": [["a"], "b"]});
        assert_eq!(request(good.clone()).unwrap(), ["a", "b"]);
        for (field, value, expected) in [
            ("name", serde_json::json!("t"), "the input must be"),
            ("datatype", serde_json::json!("FP32"), "the input must be"),
            ("shape", serde_json::json!([2, 2]), "the shape must be"),
            ("shape", serde_json::json!([3]), "the shape says 3 texts, the tensor holds 2"),
            ("shape", serde_json::json!([u64::MAX]), "the shape says"),
            ("data", serde_json::json!([1, 2]), "data must be"),
            ("data", serde_json::json!("ab"), "data must be"),
            ("data", Value::Null, "give the texts either"),
            ("parameters", serde_json::json!({"binary_data_size": 7}), "give the texts either"),
        ] {
            let mut bad = good.clone();
            bad[field] = value.clone();
            let refused = request(bad).unwrap_err();
            assert!(refused.message().starts_with(expected), "{field} {value}: {}", refused.message());
        }
    }
}
