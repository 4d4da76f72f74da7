#!/bin/sh
# Print the path of a Python that Escalade runs on: $PYTHON, else the first that is new enough,
# and not so new that packages have to be compiled for it.
set -u
known='import sys; print(sys.executable); sys.exit(not (3, 11) <= sys.version_info < (3, 14))'
new_enough='import sys; print(sys.executable); sys.exit(sys.version_info < (3, 11))'
for wanted in "$known" "$new_enough"; do
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
        if path=$("$candidate" -c "$wanted" 2>/dev/null) && [ -n "$path" ]; then
            echo "$path"
            exit 0
        fi
    done
done
{
    if [ -n "${PYTHON:-}" ]; then
        echo "PYTHON=$PYTHON is no Python 3.11 or newer: $("$PYTHON" --version 2>&1 | head -n 1)"
    else
        echo "Escalade needs Python 3.11 or newer; found: $(python3 --version 2>&1 | head -n 1)"
    fi
    echo "Install one (Debian 12, Ubuntu 24.04 and later bring it: apt-get install python3),"
    echo "load its module (module load Python), or name it: make PYTHON=/path/to/python3.12 ..."
} >&2
exit 2
