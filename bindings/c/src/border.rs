//! The border between C and Rust: what comes in is checked, panics are caught, the last error is kept.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{ptr, slice, str};

thread_local! {
    /// Why the last call in this thread failed; `None` if it did not.
    static LAST_ERROR: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An argument is NULL that may not be.
    Null(&'static str),
    /// The bytes of an argument are not UTF-8, from this one on.
    NotUtf8(&'static str, usize),
    /// More bytes than there can be.
    TooLong(usize),
    /// Flags that do not exist.
    Flags(u32),
    /// What the library says.
    Classifier(classifier::Error),
    /// The answer cannot be written as JSON.
    Json(serde_json::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Null(name) => write!(out, "the argument {name} is NULL"),
            Failure::NotUtf8(name, offset) => {
                write!(out, "the argument {name} is not valid UTF-8 at byte {offset}; convert it first")
            }
            Failure::TooLong(length) => write!(out, "the argument length is {length}, more than any text can have"),
            Failure::Flags(flags) => {
                write!(out, "there is no flag {flags:#x}; flags are DETENTE_EXPLAIN and DETENTE_HTML")
            }
            Failure::Classifier(error) => write!(out, "{error}"),
            Failure::Json(error) => write!(out, "cannot write the answer as JSON: {error}"),
        }
    }
}

impl From<classifier::Error> for Failure {
    fn from(error: classifier::Error) -> Self {
        Failure::Classifier(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Failure::Json(error)
    }
}

/// The result of `work`; `None` if it fails or panics, and then the message is kept for [`last_error`].
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Option<T> {
    // Nothing that `work` leaves half-done is seen again: classifiers do not change, everything else is its own.
    let result = catch_unwind(AssertUnwindSafe(work));
    let (value, message) = match result {
        Ok(Ok(value)) => (Some(value), None),
        Ok(Err(failure)) => (None, Some(failure.to_string())),
        Err(_) => (None, Some("the library panicked; this is an error in it, please report it".to_owned())),
    };
    // A message quotes names of files, which may hold anything but NUL on some systems.
    let message = message.map(|message| CString::new(message.replace('\0', "\u{fffd}")).unwrap_or_default());
    // A thread that is ending may have no place for it any more.
    let _ = LAST_ERROR.try_with(|last| last.replace(message));
    value
}

/// The message of the last failure in this thread, NULL if its last call did not fail.
pub(crate) fn last_error() -> *const c_char {
    let pointer =
        |last: &RefCell<Option<CString>>| last.borrow().as_ref().map_or(ptr::null(), |message| message.as_ptr());
    LAST_ERROR.try_with(pointer).unwrap_or(ptr::null())
}

/// A string of C, the argument `name`; `None` for NULL.
///
/// # Safety
/// `pointer` is NULL or points to bytes that end in NUL and stay as they are for `'a`.
pub(crate) unsafe fn string<'a>(name: &'static str, pointer: *const c_char) -> Option<Result<&'a str, Failure>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: it is not NULL, and the rest is this function's contract.
    let string = unsafe { CStr::from_ptr(pointer) };
    Some(utf8(name, string.to_bytes()))
}

/// `length` bytes of C.
///
/// # Safety
/// `pointer` is NULL or points to `length` bytes that stay as they are for `'a`.
pub(crate) unsafe fn bytes<'a>(pointer: *const c_char, length: usize) -> Result<&'a [u8], Failure> {
    if pointer.is_null() {
        return Err(Failure::Null("text"));
    }
    if isize::try_from(length).is_err() {
        return Err(Failure::TooLong(length));
    }
    // SAFETY: it is not NULL, not longer than a slice may be, and the rest is this function's contract.
    Ok(unsafe { slice::from_raw_parts(pointer.cast(), length) })
}

/// The bytes of a text as text.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Failure> {
    utf8("text", bytes)
}

fn utf8<'a>(name: &'static str, bytes: &'a [u8]) -> Result<&'a str, Failure> {
    str::from_utf8(bytes).map_err(|error| Failure::NotUtf8(name, error.valid_up_to()))
}
