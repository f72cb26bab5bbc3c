/* Uses the library as a C program would, and as a careless one. Argument: the folder of a bundle. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detente.h"

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            const char *error = detente_last_error();                                                                  \
            fprintf(stderr, "line %d: %s does not hold; last error: %s\n", __LINE__, #condition, error ? error : "-"); \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define THREADS 8
#define ROUNDS 20

static const char TEXT[] = "Truce in the valley\n\nBoth sides withdrew their guns on Sunday.\n";

static char *classify(const DetenteClassifier *classifier, const char *text, uint32_t flags) {
    return detente_classify(classifier, NULL, text, strlen(text), flags);
}

static void fails_with(char *answer, const char *words) {
    CHECK(answer == NULL);
    CHECK(detente_last_error() != NULL);
    CHECK(strstr(detente_last_error(), words) != NULL);
}

struct work {
    const DetenteClassifier *classifier;
    const char *expected;
};

/* Every thread has labels of its own and errors of its own. */
static void *in_a_thread(void *argument) {
    const struct work *work = argument;
    CHECK(detente_last_error() == NULL);
    for (int round = 0; round < ROUNDS; round++) {
        char *answer = classify(work->classifier, TEXT, 0);
        CHECK(answer != NULL && strcmp(answer, work->expected) == 0);
        CHECK(detente_last_error() == NULL);
        detente_free(answer);
        fails_with(classify(work->classifier, TEXT, 64), "there is no flag 0x40");
    }
    return NULL;
}

int main(int count, char **arguments) {
    CHECK(count == 2);
    CHECK(detente_last_error() == NULL);
    CHECK(strlen(detente_version()) >= 5);

    CHECK(detente_open("no/such/bundle", 1) == NULL);
    CHECK(strstr(detente_last_error(), "bundle no/such/bundle: cannot read bundle.json") != NULL);
    CHECK(detente_open("no/\xff", 1) == NULL);
    CHECK(strstr(detente_last_error(), "path is not valid UTF-8 at byte 3") != NULL);
    detente_free(NULL);
    CHECK(detente_last_error() == NULL);
    detente_close(NULL);
    CHECK(detente_last_error() == NULL);

    DetenteClassifier *classifier = detente_open(arguments[1], 2);
    CHECK(classifier != NULL);
    char *info = detente_info(classifier);
    CHECK(info != NULL && strstr(info, "\"scheme\":{\"topics\":[") != NULL);
    detente_free(info);
    CHECK(detente_info(NULL) == NULL);

    char *answer = classify(classifier, TEXT, 0);
    CHECK(answer != NULL);
    CHECK(strstr(answer, "\"text\":\"Both sides withdrew their guns on Sunday.\"") != NULL);
    CHECK(strstr(answer, "\"id\":\"text#1\"") != NULL);
    CHECK(strstr(answer, "explanation") == NULL);

    char *explained = classify(classifier, TEXT, DETENTE_EXPLAIN);
    CHECK(explained != NULL && strstr(explained, "\"explanation\":{\"readings\":4,\"parts\":[") != NULL);
    detente_free(explained);

    char *page = detente_classify(classifier, "page", "<p>One<script>x</script></p>", 28, DETENTE_HTML);
    CHECK(page != NULL && strstr(page, "\"id\":\"page#0\"") != NULL && strstr(page, "\"text\":\"One\"") != NULL);
    detente_free(page);

    char *blank = classify(classifier, " \n\n ", 0);
    CHECK(blank != NULL && strcmp(blank, "[]") == 0);
    detente_free(blank);
    char *empty = detente_classify(classifier, NULL, TEXT, 0, 0);
    CHECK(empty != NULL && strcmp(empty, "[]") == 0);
    detente_free(empty);
    char *nul = detente_classify(classifier, NULL, "a\0b", 3, 0);
    CHECK(nul != NULL && strstr(nul, "a\\u0000b") != NULL);
    detente_free(nul);

    fails_with(detente_classify(NULL, NULL, TEXT, 5, 0), "the argument classifier is NULL");
    fails_with(detente_classify(classifier, NULL, NULL, 5, 0), "the argument text is NULL");
    fails_with(detente_classify(classifier, NULL, TEXT, SIZE_MAX, 0), "more than any text can have");
    fails_with(detente_classify(classifier, NULL, "ab\xc3", 3, 0), "text is not valid UTF-8 at byte 2");
    fails_with(detente_classify(classifier, "\xff", TEXT, 5, 0), "id is not valid UTF-8 at byte 0");
    fails_with(classify(classifier, TEXT, 4), "there is no flag 0x4");

    pthread_t threads[THREADS];
    struct work work = {classifier, answer};
    for (int thread = 0; thread < THREADS; thread++) {
        CHECK(pthread_create(&threads[thread], NULL, in_a_thread, &work) == 0);
    }
    for (int thread = 0; thread < THREADS; thread++) {
        CHECK(pthread_join(threads[thread], NULL) == 0);
    }
    detente_free(answer);
    detente_close(classifier);
    puts("ok");
    return 0;
}
