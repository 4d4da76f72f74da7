#!/bin/sh
# Print the path of a Python that Escalade runs on: $PYTHON, else the first that is new enough.
set -u
new_enough='import sys; print(sys.executable); sys.exit(sys.version_info < (3, 11))'
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if path=$("$candidate" -c "$new_enough" 2>/dev/null) && [ -n "$path" ]; then
        echo "$path"
        exit 0
    fi
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
