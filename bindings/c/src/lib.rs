//! The classifier for C: open, classify to JSON, free.
//!
//! In: pointers and bytes of anyone. Out: JSON as `docs/output.md` of the repository specifies it, or NULL and a message.
//! Whatever comes in, no panic crosses the border: every function runs its work in [`guarded`].
//! `include/detente.h` is made from this file; `tests/header.rs` fails if it is not.

mod border;
mod labels;

use std::ffi::{CStr, c_char};
use std::ptr;

use classifier::Classifier;

use crate::border::{Failure, bytes, guarded, string, text};
use crate::labels::labels;

/// More worker threads than this are a mistake of sign or of argument.
const MOST_THREADS: usize = 1024;

/// A classifier, opened. It does not change and may be used by several threads at once.
pub struct DetenteClassifier(Classifier);

/// For detente_classify: also say which words moved each label, in the field "explanation". Takes up to 128 times as
/// long.
pub const DETENTE_EXPLAIN: u32 = 1;

/// For detente_classify: the text is an HTML page; its visible blocks are the paragraphs, and the byte ranges refer to the text
/// that was extracted.
pub const DETENTE_HTML: u32 = 2;

/// Opens the bundle in the folder at `path`, or with NULL the one inside the library. `threads` workers do the work of all calls;
/// 0 takes as many as the machine has cores, more than 1024 are cut down to that. Labels do not depend on it.
///
/// Returns NULL if it cannot be opened. Give it to detente_close in the end.
///
/// # Safety
/// `path` is NULL or points to a string that ends in NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn detente_open(path: *const c_char, threads: u32) -> *mut DetenteClassifier {
    let open = || {
        // SAFETY: by this function's contract.
        let path = unsafe { string("path", path) }.transpose()?;
        let builder = Classifier::builder().threads(usize::try_from(threads).unwrap_or(usize::MAX).min(MOST_THREADS));
        let opened = match path {
            Some(folder) => builder.open(folder)?,
            None => builder.embedded()?,
        };
        Ok(Box::into_raw(Box::new(DetenteClassifier(opened))))
    };
    guarded(open).unwrap_or(ptr::null_mut())
}

/// Labels the paragraphs of a text of `length` bytes, which need no NUL at their end. `id` names the document in the records; NULL
/// stands for "text". `flags` is 0, or DETENTE_EXPLAIN and DETENTE_HTML joined by `|`.
///
/// Returns a JSON list of one record a paragraph, as `detente classify --format jsonl` writes them (docs/output.md specifies every
/// field); the list is empty if the text is blank. NULL if it failed: the classifier or the text is NULL, the text is
/// not UTF-8, or there is no such flag. Give the string to detente_free.
///
/// # Safety
/// `classifier` is NULL or comes from detente_open and was not closed; `id` is NULL or points to a string that ends in NUL;
/// `text` is NULL or points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn detente_classify(
    classifier: *const DetenteClassifier,
    id: *const c_char,
    text: *const c_char,
    length: usize,
    flags: u32,
) -> *mut c_char {
    let classify = || {
        // SAFETY: by this function's contract.
        let classifier = unsafe { classifier.as_ref() }.ok_or(Failure::Null("classifier"))?;
        // SAFETY: by this function's contract.
        let id = unsafe { string("id", id) }.transpose()?.unwrap_or("text");
        // SAFETY: by this function's contract.
        let bytes = unsafe { bytes(text, length) }?;
        Ok(labels(&classifier.0, id, self::text(bytes)?, flags)?.into_raw())
    };
    guarded(classify).unwrap_or(ptr::null_mut())
}

/// What the bundle says of itself, as a JSON object: "name", "version", "id" (as in every record), "sha256", "license", "languages",
/// "scheme" (the labels) and "kernel" (what computes). NULL if the classifier is NULL. Give the string to detente_free.
///
/// # Safety
/// `classifier` is NULL or comes from detente_open and was not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn detente_info(classifier: *const DetenteClassifier) -> *mut c_char {
    let info = || {
        // SAFETY: by this function's contract.
        let classifier = unsafe { classifier.as_ref() }.ok_or(Failure::Null("classifier"))?;
        Ok(labels::info(&classifier.0)?.into_raw())
    };
    guarded(info).unwrap_or(ptr::null_mut())
}

/// Why the last call in this thread failed, in English, or NULL if it did not. The string belongs to the library and
/// stays until this thread's next call of any function but this one.
#[unsafe(no_mangle)]
pub extern "C" fn detente_last_error() -> *const c_char {
    border::last_error()
}

/// The version of this library.
#[unsafe(no_mangle)]
pub extern "C" fn detente_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("the version holds a NUL"),
    };
    VERSION.as_ptr()
}

/// Frees a string that detente_classify or detente_info gave. NULL is passed over.
///
/// # Safety
/// `string` is NULL, or comes from one of them and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn detente_free(string: *mut c_char) {
    let free = || {
        if !string.is_null() {
            // SAFETY: by this function's contract it came from CString::into_raw and is given back once.
            drop(unsafe { std::ffi::CString::from_raw(string) });
        }
        Ok(())
    };
    guarded(free).unwrap_or(());
}

/// Closes a classifier that no other call uses any more. NULL is passed over.
///
/// # Safety
/// `classifier` is NULL, or comes from detente_open, was not closed, and is not in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn detente_close(classifier: *mut DetenteClassifier) {
    let close = || {
        if !classifier.is_null() {
            // SAFETY: by this function's contract it came from Box::into_raw and is given back once.
            drop(unsafe { Box::from_raw(classifier) });
        }
        Ok(())
    };
    guarded(close).unwrap_or(());
}
