#!/usr/bin/env bash
# What a bundle says of every item of the dev and test sets, so that a label that changes shows in the diff of a commit.
#
# Command: scripts/eval/snapshot.sh [--check] [--model DIR] [--results DIR] PROGRAM
# In:      PROGRAM, a built detente; --model: a bundle's folder instead of the bundle inside the program; --results: where
#          snapshots lie, eval/results by default
# Out:     RESULTS/<bundle>/items.csv, one row an item, labels only, and summary.json, the report (1,000 replicates, seed 1); both
#          on the f32 path. With --check nothing is written: the labels of now are held against items.csv, and a summary of
#          what changed is printed.
# Needs:   the POSIX tools (awk, sed, cmp)
# Exit:    0 written, or nothing changed; 1 a label changed; 2 something failed
# Takes:   two minutes of processor time with detente-mini, shared between the cores
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

sets=(authored-dev authored-test web_lines-dev web_lines-test)
shown=40 # changed labels that --check prints

fail() {
    echo "snapshot.sh: $1" >&2
    exit 2
}

check=
model=
results=eval/results
program=
while [ $# -gt 0 ]; do
    case $1 in
    --check) check=1 ;;
    --model | --results)
        [ -n "${2:-}" ] || fail "$1 wants a folder"
        if [ "$1" = --model ]; then model=$2; else results=$2; fi
        shift
        ;;
    -*) fail "unknown flag '$1'; the head of this file says which there are" ;;
    *) program=$1 ;;
    esac
    shift
done
[ -n "$program" ] || fail "name the program: scripts/eval/snapshot.sh [--check] target/release/detente"
command -v "$program" >/dev/null || fail "there is no program $program; build it first: cargo build --release"
# The bundle inside the program counts, whatever the environment says.
unset DETENTE_MODEL DETENTE_KERNEL
bundle=(--embedded)
inspected=()
[ -z "$model" ] || { bundle=(--model "$model"); inspected=(--model "$model"); }

name=$("$program" inspect --json ${inspected[@]+"${inspected[@]}"} | sed -n 's/^  "name": "\(.*\)",$/\1/p')
[ -n "$name" ] || fail "$program inspect --json does not say the bundle's name"
folder=$results/$name
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

gold=()
for set in "${sets[@]}"; do gold+=("eval/sets/$set.jsonl"); done
"$program" eval --gold "${gold[@]}" "${bundle[@]}" --precision f32 --items "$new/items.csv" \
    --replicates 1000 --seed 1 --format json --output "$new/summary.json" || fail "the sets could not be scored"

if [ -z "$check" ]; then
    mkdir -p "$folder"
    cp "$new/items.csv" "$new/summary.json" "$folder/"
    echo "$folder: $(($(wc -l <"$new/items.csv") - 1)) items"
    exit 0
fi

[ -f "$folder/items.csv" ] || fail "there is no $folder/items.csv; make it: scripts/eval/snapshot.sh PROGRAM"
if cmp -s "$folder/items.csv" "$new/items.csv"; then
    echo "$folder/items.csv: $(($(wc -l <"$new/items.csv") - 1)) items, no label changed"
    exit 0
fi
# Ids and labels of the sets hold neither commas nor quotes, so a row can be split at its commas.
awk -F, -v path="$folder/items.csv" -v shown="$shown" '
    FNR == 1 && NR == 1 { header = $0; columns = split($0, name); next }
    FNR == 1 { if ($0 != header) print "the columns were " header ", they are " $0; next }
    NR == FNR { old[$1] = $0; order[++count] = $1; next }
    {
        items++
        seen[$1] = 1
        if (!($1 in old)) { added++; next }
        if (old[$1] == $0) next
        split(old[$1], before)
        item = 0
        for (column = 2; column <= columns; column++) {
            if (before[column] == $column) continue
            item = 1
            changes[column]++
            lines[++changed] = sprintf("  %s (%s) %s: %s -> %s%s", $1, $2, name[column], shown_as(before[column]),
                shown_as($column), gold_of(column))
        }
        different += item
    }
    function shown_as(cell) { return cell == "" ? "none" : cell }
    function gold_of(column,   other) {
        for (other = 1; other <= columns; other++)
            if (name[other] == "gold_" name[column])
                return ", gold " shown_as($other) ($column == $other ? ": right now" : before[column] == $other ? ": wrong now" : "")
        return ""
    }
    END {
        for (place = 1; place <= count; place++) if (!(order[place] in seen)) removed++
        printf "%s: %d of %d items changed", path, different, items
        for (column = 2; column <= columns; column++) if (changes[column]) printf ", %s %d", name[column], changes[column]
        printf "%s%s\n", added ? ", " added " items are new" : "", removed ? ", " removed " are gone" : ""
        for (line = 1; line <= changed && line <= shown; line++) print lines[line]
        if (changed > shown) printf "  … and %d more\n", changed - shown
    }' "$folder/items.csv" "$new/items.csv"
echo "if that is meant, make the snapshot anew (scripts/eval/snapshot.sh PROGRAM) and say in the commit why labels change"
exit 1
