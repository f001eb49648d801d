# cclake: the lake of your Claude Code conversations. `./just` works without just.

set dotenv-load
set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")
export DO_NOT_TRACK := "1"
export DBT_SEND_ANONYMOUS_USAGE_STATS := "false"

python_sources := "tools/*/src datasette/src metabase/src flows/src spark/src"
python_tests := "conftest.py tests tools/*/tests datasette/tests metabase/tests flows/tests spark/tests"

[private]
default:
    @just --list --unsorted

# Start everything, archive all logs, build the lake and show the addresses
[group('run')]
[no-exit-message]
up *options:
    @stack up "$@"

# Stop everything; lines that are not delivered yet stay in the buffer
[group('run')]
[no-exit-message]
down:
    @stack down

# Show processes, pending lines, the last pipeline run and what needs attention
[group('run')]
[no-exit-message]
status *options:
    @stack status "$@"

# Show the logs of all processes, or of one: just logs flusher -f
[group('run')]
[no-exit-message]
logs *options:
    @stack logs "$@"

# Show every setting and where its value comes from; passwords are masked
[group('run')]
[no-exit-message]
config *options:
    @stack config "$@"

# Bring new conversations into the lake, gold and the exports
[group('lake')]
[no-exit-message]
pipeline *options:
    @pipeline run "$@"

# Rebuild the warehouse and gold from the lake
[group('lake')]
[no-exit-message]
full-refresh:
    @pipeline run --full

# Rebuild the lake from MongoDB
[group('lake')]
[no-exit-message]
backfill:
    @pipeline run --backfill

# Run the daily pipeline: new lines, all data tests, complete exports
[group('lake')]
[no-exit-message]
daily:
    @pipeline run --daily

# Extract new lines from MongoDB into Iceberg
[group('lake')]
[no-exit-message]
extract *options:
    @cd "${JUST_CALLER:-.}" && extract run "$@"

# Load new rows from Iceberg into DuckDB
[group('lake')]
[no-exit-message]
load *options:
    @cd "${JUST_CALLER:-.}" && load "$@"

# Inspect or maintain the Iceberg table: info, snapshots, compact, expire, …
[group('lake')]
[no-exit-message]
iceberg *options:
    @cd "${JUST_CALLER:-.}" && extract table "$@"

# Run dbt on the gold project: just dbt build, just dbt test, …
[group('lake')]
[no-exit-message]
dbt *options:
    @stack dbt "$@"

# Serve the dbt documentation on http://127.0.0.1:8686
[group('lake')]
[no-exit-message]
dbt-docs:
    @stack docs

# Build gold in DuckDB: all dbt models, without their tests
[group('lake')]
[no-exit-message]
transform *options:
    @stack dbt run "$@"

# Write the exports that the pages read
[group('lake')]
[no-exit-message]
publish *options:
    @cd "${JUST_CALLER:-.}" && publish "$@"

# Schedule the pipeline with Prefect, on http://127.0.0.1:4200 (optional)
[group('lake')]
[no-exit-message]
prefect: _prefect
    @flows/serve

alias deploy := prefect

# Ask Prefect for an incremental run
[group('lake')]
[no-exit-message]
run-adhoc: (_deployment "adhoc")

# Ask Prefect for the daily run
[group('lake')]
[no-exit-message]
run-daily: (_deployment "daily")

# Ask Prefect to extract and build everything again
[group('lake')]
[no-exit-message]
run-backfill: (_deployment "backfill")

# Build gold on a distributed engine (Sail), from the Iceberg table (optional)
[group('lake')]
[no-exit-message]
spark *options: _spark
    @cd "${JUST_CALLER:-.}" && "{{ justfile_directory() }}/spark/run" "$@"

# Compare the gold of both engines value by value: just compare-engines LOGS
[group('check')]
[no-exit-message]
compare-engines *options: _dev _spark
    @python tests/support/compare_engines.py "$@"

# Run Metabase on http://127.0.0.1:3001 (needs Java 21): just metabase --jar metabase.jar
[group('lake')]
[no-exit-message]
metabase *options:
    @metabase serve "$@"

# Run every query of the dashboards on the export
[group('lake')]
[no-exit-message]
check-metabase *options:
    @metabase check "$@"

# Create or update the dashboards in Metabase
[group('lake')]
[no-exit-message]
configure-metabase *options:
    @metabase apply "$@"

# Run the tests of gold and the full proof, and reconcile the totals
[group('lake')]
[no-exit-message]
validate *options:
    @stack validate "$@"

# Prove that every byte of every file is in every store
[group('archive')]
[no-exit-message]
verify *options:
    @cd "${JUST_CALLER:-.}" && verify "$@"

# Recreate the log files from MongoDB, byte for byte: just restore --out DIR
[group('archive')]
[no-exit-message]
restore *options:
    @cd "${JUST_CALLER:-.}" && restore "$@"

# Save new documents of the archive into a folder: just export-db FOLDER
[group('archive')]
[no-exit-message]
export-db folder *options:
    @cd "${JUST_CALLER:-.}" && backup save "$@"

# Load a backup; existing documents stay: just import-db FOLDER
[group('archive')]
[no-exit-message]
import-db folder *options:
    @cd "${JUST_CALLER:-.}" && backup load "$@"

# Show usage and cost in the terminal: just report daily
[group('archive')]
[no-exit-message]
report *options:
    @cd "${JUST_CALLER:-.}" && report "$@"

# Search and read in the terminal: just recall WORDS; or list, show, tail, files, resume
[group('archive')]
[no-exit-message]
recall *options:
    @cd "${JUST_CALLER:-.}" && recall "$@"

# Run the whole test suite, with a real MongoDB
[group('check')]
test *options: _dev
    @unset PYTHONDONTWRITEBYTECODE; pytest -q -n "${CCLAKE_TEST_JOBS:-4}" --dist loadfile --no-loadscope-reorder "$@"

# Run the tests that need no MongoDB and no browser
[group('check')]
test-fast *options: _dev
    @unset PYTHONDONTWRITEBYTECODE; pytest -q -n "${CCLAKE_TEST_JOBS:-2}" --dist worksteal --fast "$@"

# Run the fast tests and a whole chain on another Python: just test-on python3.13
[group('check')]
test-on python *options: _dev
    @tests/support/test-on "$@"

# Install each tool's wheel alone, to find undeclared dependencies
[group('check')]
test-alone: _dev
    @tests/support/test-alone

# Kill every process at random while files change, then count: just soak --seconds 60 --seed 1
[group('check')]
soak *options: _dev
    @python tests/support/soak.py "$@"

# Check formatting, types, SQL, shell, the help in the READMEs, and the map
[group('check')]
lint: _dev
    @ruff format --check .
    @ruff check .
    @codespell
    @python tests/support/prose.py
    @mypy {{ python_sources }} {{ python_tests }}
    @mypy bench
    @mypy --platform darwin --cache-dir .mypy_cache/darwin {{ python_sources }}
    @for file in tests/*/conftest.py tools/*/tests/conftest.py; do mypy "$file"; done
    @sqlfluff lint --processes 2 --disable-progress-bar dbt
    @shellcheck just .ci/run datasette/serve flows/serve flows/ask spark/run tests/support/build-wheels tests/support/test-alone tests/support/test-on tests/nix/light-tests
    @cog --check tools/*/README.md datasette/README.md metabase/README.md docs/architecture.md

# Fix what lint can fix: formatting, import order, SQL, help in the READMEs, the map
[group('check')]
format: _dev
    @ruff check --fix-only .
    @ruff format .
    @sqlfluff format --processes 2 --disable-progress-bar dbt
    @cog -r tools/*/README.md datasette/README.md metabase/README.md docs/architecture.md

# Show the packages: their modules, lines, and what each imports
[group('check')]
map:
    @python tests/support/structure.py

# Print the completions of all tools for bash, zsh or fish: source <(./just completions bash)
[group('run')]
[no-exit-message]
completions shell:
    @for tool in backup buffer extract flusher load metabase pipeline publish report restore stack tailer verify; do \
        env "_$(echo "$tool" | tr a-z A-Z)_COMPLETE=source_{{ shell }}" "$tool" || exit 1; \
    done

# Install the plugin for Claude Code, and links to recall and report in ~/.local/bin
[group('run')]
[no-exit-message]
plugin:
    @mkdir -p ~/.local/bin
    @for tool in recall report; do \
        link=~/.local/bin/$tool; \
        if [ -e "$link" ] && [ ! -L "$link" ]; then \
            echo "just plugin: $link exists and is not a link" >&2; exit 1; \
        fi; \
        ln -sfn "{{ justfile_directory() }}/.venv/bin/$tool" "$link"; \
    done
    @command -v claude > /dev/null || { \
        echo "just plugin: claude is not on the PATH" >&2; exit 1; }
    @claude plugin marketplace add "{{ justfile_directory() }}"
    @claude plugin install cclake@cclake
    @claude plugin update cclake@cclake
    @case ":$PATH:" in *":$HOME/.local/bin:"*) ;; *) \
        echo "Add ~/.local/bin to the PATH, or Claude Code does not find recall." ;; esac

# Build a wheel of each package into dist/, with the constraints that pip needs for them
[group('change')]
wheels: _build
    @tests/support/build-wheels

# Measure ratios against floors and peers: just bench ingest
[group('check')]
bench name *options: _dev
    @shift; python bench/{{ name }}.py "$@"

# Rewrite poetry.lock and the hashed requirements from the pyproject files
[group('change')]
lock: _poetry
    @.poetry/bin/poetry lock
    @.poetry/bin/poetry export -f requirements.txt | grep -v '^-e ' > requirements.lock.new
    @.poetry/bin/poetry export --only dev -f requirements.txt | grep -v '^-e ' > requirements-dev.lock.new
    @mv requirements.lock.new requirements.lock
    @mv requirements-dev.lock.new requirements-dev.lock
    @cd flows && ../.poetry/bin/poetry lock
    @cd flows && ../.poetry/bin/poetry export -f requirements.txt > requirements.lock
    @cd spark && ../.poetry/bin/poetry lock
    @cd spark && ../.poetry/bin/poetry export -f requirements.txt > requirements.lock

# Remove build leftovers (never the data directory)
[group('change')]
clean:
    @rm -rf .venv .venv.old .venv.lock .build .poetry .prefect .spark .mypy_cache .ruff_cache .pytest_cache dbt/target dist

[private]
_dev:
    @cmp -s requirements-dev.lock .venv/dev.lock || { \
        echo "Installing the test tools into .venv ..." >&2; \
        pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock; \
        cp requirements-dev.lock .venv/dev.lock; }

[private]
_prefect:
    @cmp -s flows/requirements.lock .prefect/lock || { \
        echo "Installing Prefect into .prefect ..." >&2; \
        python -m venv --clear .prefect; \
        .prefect/bin/pip install -qq --disable-pip-version-check --no-deps --require-hashes -r flows/requirements.lock; \
        echo "$PWD/flows/src" > "$(.prefect/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/cclake_flows.pth"; \
        cp flows/requirements.lock .prefect/lock; }

[private]
_spark:
    @cmp -s spark/requirements.lock .spark/lock || { \
        echo "Installing Sail and dbt-spark into .spark ..." >&2; \
        python -m venv --clear .spark; \
        .spark/bin/pip install -qq --disable-pip-version-check --no-deps --require-hashes -r spark/requirements.lock; \
        echo "$PWD/spark/src" > "$(.spark/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/cclake_spark.pth"; \
        cp spark/requirements.lock .spark/lock; }

[no-exit-message]
[private]
_deployment name:
    @flows/ask "$1"

[private]
_build:
    @test -x .build/bin/twine || { \
        python -m venv .build; \
        .build/bin/pip install -qq --disable-pip-version-check build==1.6.1 twine==7.0.0 'poetry-core>=2,<3' hatchling; }

[private]
_poetry:
    @test -x .poetry/bin/poetry || { \
        python -m venv .poetry; \
        .poetry/bin/pip install -qq --disable-pip-version-check poetry==2.5.1 poetry-plugin-export==1.10.1 poetry-plugin-pypi-mirror==0.6.5; }
