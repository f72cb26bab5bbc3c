#!/usr/bin/env bash
# The C library, used from C and from Python: the header agrees with the source, a C program works with the shared and the static
# library and gives bad input no way to do harm, Python gets the records of the command line.
#
# Command: scripts/check/c_library.sh PROGRAM [CARGO_OPTION]...
# In:      PROGRAM, the built `detente`; options for cargo, such as --release
# Out:     a line a part; exit code 1 with the reason if one does not work
# Needs:   a C compiler (cc, or named by CC), Python 3.11

set -e -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
cc=${CC:-cc}

cargo test --locked -p detente-c "$@"
built=$(cargo build --locked -p detente-c "$@" --message-format json | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message["reason"] == "compiler-artifact" and message["target"]["name"] == "detente" and "cdylib" in message["target"]["kind"]:
        print("\n".join(message["filenames"]))')
shared=$(grep -E '\.(so|dylib)$' <<<"$built")
static=$(grep '\.a$' <<<"$built")

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
strict=(-std=c99 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Werror -I bindings/c/include)

echo "header by itself, as C and as C++"
echo '#include "detente.h"' >"$folder/alone.c"
"$cc" "${strict[@]}" -fsyntax-only "$folder/alone.c"
"$cc" -x c++ -Wall -Wextra -Werror -I bindings/c/include -fsyntax-only "$folder/alone.c" ||
    { echo "this C compiler has no C++, or the header is not C++"; command -v c++ >/dev/null && exit 1; }

echo "from C, shared library"
"$cc" "${strict[@]}" bindings/c/tests/use.c -o "$folder/shared" "$shared" -pthread -Wl,-rpath,"$(dirname "$shared")"
"$folder/shared" tests/fixtures/fake

echo "from C, static library"
"$cc" "${strict[@]}" bindings/c/tests/use.c -o "$folder/static" "$static" -pthread -ldl -lm
"$folder/static" tests/fixtures/fake

echo "from Python"
python3 bindings/c/tests/use.py "$shared" "$program"
