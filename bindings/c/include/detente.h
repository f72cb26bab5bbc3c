/*
 * detente: labels every paragraph of a news text with its topics and how escalatory its stance is.
 *
 * Open a classifier once and share it: every function may be called from any thread at any time, but detente_close only when no other
 * call uses the classifier. No function ends the program or throws; what fails gives NULL, and detente_last_error says why.
 * Every string that goes in or comes out is UTF-8. README.md beside this folder has examples.
 */


#ifndef DETENTE_H
#define DETENTE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 For detente_classify: also say which words moved each label, in the field "explanation". Takes up to 128 times as
 long.
 */
#define DETENTE_EXPLAIN 1

/*
 For detente_classify: the text is an HTML page; its visible blocks are the paragraphs, and the byte ranges refer to the text
 that was extracted.
 */
#define DETENTE_HTML 2

/*
 A classifier, opened. It does not change and may be used by several threads at once.
 */
typedef struct DetenteClassifier DetenteClassifier;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Opens the bundle in the folder at `path`, or with NULL the one inside the library. `threads` workers do the work of all calls;
 0 takes as many as the machine has cores, more than 1024 are cut down to that. Labels do not depend on it.

 Returns NULL if it cannot be opened. Give it to detente_close in the end.

 # Safety
 `path` is NULL or points to a string that ends in NUL.
 */
DetenteClassifier *detente_open(const char *path,
                                uint32_t threads);

/*
 Labels the paragraphs of a text of `length` bytes, which need no NUL at their end. `id` names the document in the records; NULL
 stands for "text". `flags` is 0, or DETENTE_EXPLAIN and DETENTE_HTML joined by `|`.

 Returns a JSON list of one record a paragraph, as `detente classify --format jsonl` writes them (docs/output.md specifies every
 field); the list is empty if the text is blank. NULL if it failed: the classifier or the text is NULL, the text is
 not UTF-8, or there is no such flag. Give the string to detente_free.

 # Safety
 `classifier` is NULL or comes from detente_open and was not closed; `id` is NULL or points to a string that ends in NUL;
 `text` is NULL or points to `length` bytes.
 */
char *detente_classify(const DetenteClassifier *classifier,
                       const char *id,
                       const char *text,
                       size_t length,
                       uint32_t flags);

/*
 What the bundle says of itself, as a JSON object: "name", "version", "id" (as in every record), "sha256", "license", "languages",
 "scheme" (the labels) and "kernel" (what computes). NULL if the classifier is NULL. Give the string to detente_free.

 # Safety
 `classifier` is NULL or comes from detente_open and was not closed.
 */
char *detente_info(const DetenteClassifier *classifier);

/*
 Why the last call in this thread failed, in English, or NULL if it did not. The string belongs to the library and
 stays until this thread's next call of any function but this one.
 */
const char *detente_last_error(void);

/*
 The version of this library.
 */
const char *detente_version(void);

/*
 Frees a string that detente_classify or detente_info gave. NULL is passed over.

 # Safety
 `string` is NULL, or comes from one of them and was not freed.
 */
void detente_free(char *string);

/*
 Closes a classifier that no other call uses any more. NULL is passed over.

 # Safety
 `classifier` is NULL, or comes from detente_open, was not closed, and is not in use.
 */
void detente_close(DetenteClassifier *classifier);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DETENTE_H */
