//! What a request holds, as paragraphs with their languages: everything that is done before the queue.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::serve::answer::Refused;
use crate::serve::types::{ClassifyRequest, DocumentRequest};
use crate::text::{Document, Language, detect_language};

/// Bytes of text from which on paragraphs and languages are looked for on another thread than the one that answers
/// everybody.
const LONG_BYTES: usize = 8 * 1024;
/// Long pages that are read at the same time: half of the threads that `detente serve` has for such work, since a page may
/// take far longer than a plain text and is read to its end even if its client leaves.
pub(crate) const PAGES: usize = 4;

/// A paragraph that is to be labelled.
#[derive(Debug, Clone)]
pub(crate) struct Paragraph {
    pub(crate) index: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) text: String,
    pub(crate) language: Language,
}

/// What to label.
#[derive(Debug)]
pub(crate) enum Input {
    /// Texts as they are.
    Texts(Vec<String>),
    /// Plain text.
    Text(String),
    /// A page.
    Html(String),
}

impl Input {
    /// What a request of `/v1/classify` asks for, and the name of its document.
    ///
    /// # Errors
    /// If it holds both or neither of two things, too much, or nothing but white space.
    pub(crate) fn of(request: &mut ClassifyRequest, most: usize) -> Result<(Self, Option<String>), Refused> {
        match (request.texts.take(), request.document.take()) {
            (Some(texts), None) => Ok((Self::texts(texts, most)?, None)),
            (None, Some(DocumentRequest { id, text: Some(text), html: None })) => Ok((Self::Text(text), id)),
            (None, Some(DocumentRequest { id, text: None, html: Some(html) })) => Ok((Self::Html(html), id)),
            (None, Some(_)) => Err(Refused::invalid("give either document.text or document.html")),
            _ => Err(Refused::invalid("give either texts or document")),
        }
    }

    /// Texts as they are.
    ///
    /// # Errors
    /// If there is none, if there are too many, or if one is blank.
    pub(crate) fn texts(texts: Vec<String>, most: usize) -> Result<Self, Refused> {
        if texts.is_empty() {
            return Err(Refused::invalid("there is no text to label"));
        }
        if texts.len() > most {
            let what = format!("there are {} texts, a request takes {most}; send several, or a stream", texts.len());
            return Err(Refused::too_large(what));
        }
        match texts.iter().position(|text| text.trim().is_empty()) {
            Some(index) => Err(Refused::invalid(format!("text {index} is blank: there is nothing to classify"))),
            None => Ok(Self::Texts(texts)),
        }
    }

    /// Bytes of text, mark-up included.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.iter().map(String::len).sum(),
            Self::Text(text) | Self::Html(text) => text.len(),
        }
    }

    /// The paragraphs, never blank, `most` at most. A long page waits for one of the [`PAGES`].
    ///
    /// # Errors
    /// If there are more, or none.
    pub(crate) async fn paragraphs(self, most: usize, pages: &Arc<Semaphore>) -> Result<Vec<Paragraph>, Refused> {
        let bytes = self.bytes();
        let page = match self {
            // The semaphore is never closed.
            Self::Html(_) if bytes >= LONG_BYTES => Arc::clone(pages).acquire_owned().await.ok(),
            Self::Texts(_) | Self::Text(_) | Self::Html(_) => None,
        };
        let split = move || {
            let _page = page;
            self.split(most)
        };
        aside(bytes, split).await?
    }

    fn split(self, most: usize) -> Result<Vec<Paragraph>, Refused> {
        let document = match self {
            Self::Texts(texts) => {
                let paragraph = |(index, text): (usize, String)| {
                    let language = detect_language(&text);
                    Paragraph { index, start: 0, end: text.len(), text, language }
                };
                return Ok(texts.into_iter().enumerate().map(paragraph).collect());
            }
            Self::Text(text) => Document::from_text("", text),
            Self::Html(html) => Document::from_html("", &html),
        };
        let paragraphs: Vec<Paragraph> = document.paragraphs().take(most.saturating_add(1)).map(own).collect();
        match paragraphs.len() {
            0 => Err(Refused::invalid("the document holds no text: there is nothing to classify")),
            count if count > most => {
                let what = format!("the document has more than {most} paragraphs; send it in parts, or as a stream");
                Err(Refused::too_large(what))
            }
            _ => Ok(paragraphs),
        }
    }
}

/// What `work` on so many bytes of text gives; of a long text on another thread than the one that answers everybody.
///
/// # Errors
/// 500 if it broke on the text.
pub(crate) async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    if bytes < LONG_BYTES { Ok(work()) } else { apart(work).await }
}

/// What `work` gives, on another thread than the one that answers everybody. When nobody waits for it any more, it is not
/// begun; what was begun is done.
///
/// # Errors
/// 500 if it broke.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
    let broken = |_| Refused::broken("the text could not be read; please report it");
    let mut job = Wanted(tokio::task::spawn_blocking(work));
    (&mut job.0).await.map_err(broken)
}

/// A job that is taken back when nobody waits for it.
struct Wanted<T>(JoinHandle<T>);

impl<T> Drop for Wanted<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A paragraph of its own, with its language.
fn own(paragraph: crate::text::Paragraph<'_>) -> Paragraph {
    let range = paragraph.byte_range();
    let text = paragraph.text().to_owned();
    let language = detect_language(&text);
    Paragraph { index: paragraph.index(), start: range.start, end: range.end, text, language }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// With one thread for what is done apart.
    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap()
    }

    #[test]
    fn long_pages_wait_for_each_other_and_nothing_else_does() {
        let pages = Arc::new(Semaphore::new(1));
        let page = format!("<p>{}</p>", "Die Waffenruhe hält. ".repeat(LONG_BYTES / 20));
        let text = "Die Waffenruhe hält.\n\n".repeat(LONG_BYTES / 20);
        runtime().block_on(async {
            let other = Arc::clone(&pages).acquire_owned().await.unwrap();
            let waiting = tokio::spawn({
                let pages = Arc::clone(&pages);
                async move { Input::Html(page).paragraphs(10, &pages).await }
            });
            let count = |input: Input| {
                let pages = Arc::clone(&pages);
                async move { input.paragraphs(usize::MAX, &pages).await.unwrap().len() }
            };
            assert_eq!(count(Input::Text(text)).await, LONG_BYTES / 20);
            assert_eq!(count(Input::Html("<p>Nein.</p>".into())).await, 1);
            assert!(!waiting.is_finished());
            drop(other);
            assert_eq!(waiting.await.unwrap().unwrap().len(), 1);
            assert_eq!(pages.available_permits(), 1);
        });
    }

    #[test]
    fn what_nobody_waits_for_is_not_begun() {
        runtime().block_on(async {
            let (go, gone) = mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || gone.recv());
            let (sender, begun) = mpsc::channel();
            let left = tokio::spawn(apart(move || sender.send(()).unwrap()));
            tokio::task::yield_now().await;
            left.abort();
            assert!(left.await.unwrap_err().is_cancelled());
            drop(go);
            assert!(busy.await.unwrap().is_err());
            assert_eq!(apart(|| 7).await.unwrap(), 7);
            assert!(begun.recv().is_err(), "it was begun");
        });
    }
}
