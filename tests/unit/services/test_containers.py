"""Services in an Apptainer image: what is rendered, and what a shell makes of it.

Apptainer itself is on no machine that these tests run on; a program of its name that
tells its arguments and environment stands in for it where a shell is run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from escalade.errors import InputError, ToolMissingError
from escalade.services.containers import in_login_shell, require_program
from escalade.services.recipes import Recipe, ServedModel
from escalade.services.validation import validated

VLLM: dict[str, Any] = {
    "name": "vllm",
    "description": "vLLM in an image",
    "version": {"distribution": "escalade"},
    "models": {"minimum": 1, "maximum": 1},
    "command": ["vllm", "serve", "{model_path}", ["--host", "{host}"], ["--port", "{port}"]],
    "environment": {"OMP_NUM_THREADS": "{service_cpus}", "VLLM_LOGGING_LEVEL": "INFO"},
    "parameters": {
        "image": {"type": "string", "default": "/images/vllm.sif", "description": "SIF file."},
        "cache": {"type": "string", "description": "Folder of compiled kernels."},
    },
    "container": {"image": "{image}"},
    "probe": {"path": "/health", "timeout_seconds": 600},
    "workload": {"kind": "openai_chat"},
}
MODEL = ServedModel("tiny", Path("/models/tiny/model.safetensors"))
PLAIN = ("apptainer", "exec", "--cleanenv", "--no-mount", "home,cwd")
INSIDE = ("vllm", "serve", "/models/tiny/model.safetensors", "--host", "n1", "--port", "8000")


def recipe(**container: Any) -> Recipe:
    content = {**VLLM, "container": {**VLLM["container"], **container}}
    return validated(Recipe, content, "vllm.yaml")


def made(own: Recipe, **arguments: Any) -> Any:
    known = {"port": 8000, "host": "n1", "models": [MODEL], "service_cpus": 16}
    parameters = arguments.pop("parameters", {})
    return own.make_command(parameters, **{**known, **arguments})


def test_the_command_stands_behind_the_image_with_the_model_s_folder_bound() -> None:
    command = made(recipe())

    bind = ("--bind", "/models/tiny:/models/tiny:ro")
    assert command.argv == (*PLAIN, *bind, "/images/vllm.sif", *INSIDE)


def test_variables_pass_the_clean_environment() -> None:
    command = made(recipe(environment={"VLLM_LOGGING_LEVEL": "DEBUG", "HF_HOME": "/a,b"}))

    assert command.environment == {
        "APPTAINERENV_OMP_NUM_THREADS": "16",
        "APPTAINERENV_VLLM_LOGGING_LEVEL": "DEBUG",  # the container's over the recipe's
        "APPTAINERENV_HF_HOME": "/a,b",
    }


def test_a_variable_whose_parameter_is_not_set_is_left_out() -> None:
    own = recipe(environment={"CACHE": "{cache}"})

    assert "APPTAINERENV_CACHE" not in made(own).environment
    assert made(own, parameters={"cache": "/c"}).environment["APPTAINERENV_CACHE"] == "/c"


def test_binds_of_recipe_models_and_site_are_given_once_each() -> None:
    argv = made(recipe(binds=["/data:/in:ro", "/project"]), binds=["/project", "/scratch"]).argv

    bound = [argv[at + 1] for at, word in enumerate(argv) if word == "--bind"]
    assert bound == ["/data:/in:ro", "/project", "/models/tiny:/models/tiny:ro", "/scratch"]


def test_free_arguments_stand_before_the_image() -> None:
    argv = made(recipe(arguments=["--writable-tmpfs", "--pwd", "/tmp"])).argv  # noqa: S108

    at = argv.index("/images/vllm.sif")
    assert argv[at - 3 : at] == ("--writable-tmpfs", "--pwd", "/tmp")  # noqa: S108


def test_gpus_are_shown_when_they_are_asked_for() -> None:
    assert "--nv" not in made(recipe()).argv
    assert "--nv" in made(recipe(), gpus=1).argv


def test_the_recipe_decides_on_gpus_where_it_says_so() -> None:
    assert "--nv" in made(recipe(gpu=True)).argv
    assert "--nv" not in made(recipe(gpu=False), gpus=4).argv


@pytest.mark.parametrize("image", ["docker://vllm/vllm-openai:v0.8.4", "oras://host/a:1"])
def test_an_image_may_be_a_reference_that_a_parameter_names(image: str) -> None:
    argv = made(recipe(), parameters={"image": image}).argv

    assert argv[argv.index("vllm") - 1] == image
    assert made(recipe(), parameters={"image": image}).image == image


def test_an_image_in_the_home_folder_is_found_there() -> None:
    argv = made(recipe(image="~/vllm.sif")).argv

    assert str(Path.home() / "vllm.sif") in argv


def test_an_image_with_a_relative_path_is_refused() -> None:
    with pytest.raises(InputError, match=r"'vllm\.sif' is a relative path"):
        made(recipe(image="vllm.sif"))


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"image": ""}, "container.image"),
        ({"image": "{imagge}"}, "Did you mean 'image'"),
        ({"image": "{cache}"}, "cache may have no value"),
        ({"binds": ["{nothing}"]}, "nothing is called 'nothing'"),
        ({"environment": {"A-B": "1"}}, "container.environment"),
        ({"environment": {"A": "{nothing}"}}, "nothing is called 'nothing'"),
        ({"arguments": ["a\nb"]}, "container.arguments"),
        ({"bind": ["/a"]}, "Did you mean 'binds'"),
    ],
)
def test_a_container_that_can_not_be_is_refused(container: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError) as refused:
        recipe(**container)

    assert expected in str(refused.value)


def test_the_host_s_python_is_refused_inside() -> None:
    with pytest.raises(InputError, match="write the program of the image"):
        validated(Recipe, {**VLLM, "command": ["{python}", "-m", "vllm"]}, "vllm.yaml")


def test_a_container_defines_the_measurement_and_its_absence_changes_no_definition() -> None:
    without = {key: value for key, value in VLLM.items() if key != "container"}

    assert recipe().defining()["container"]["image"] == "{image}"
    assert "container" not in validated(Recipe, without, "x").defining()


def test_a_missing_apptainer_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolMissingError, match="no apptainer on PATH"):
        require_program()
    with pytest.raises(ToolMissingError, match="no apptainer on PATH"):
        recipe().check_needs()
    recipe().check_needs(elsewhere=True)  # another node may have it


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program called apptainer on PATH that prints its arguments and environment."""
    program = tmp_path / "apptainer"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "print(json.dumps([os.getpid(), sys.argv[1:], dict(os.environ)]))\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def executed(argv: tuple[str, ...], **environment: str) -> tuple[bool, list[str], dict[str, str]]:
    """Give whether the first process became the program, its arguments and its environment."""
    child = subprocess.Popen(argv, env={**os.environ, **environment}, stdout=subprocess.PIPE)
    output, _ = child.communicate(timeout=30)
    pid, arguments, variables = json.loads(output)
    return pid == child.pid, arguments, variables


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("gpus", ["0,1", "", "MIG-GPU-5c89852c/7/0"])
def test_the_gpus_that_the_node_gave_are_handed_on(gpus: str) -> None:
    command = made(recipe(), gpus=2)

    became, arguments, variables = executed(command.argv, CUDA_VISIBLE_DEVICES=gpus)

    assert became
    assert variables["APPTAINERENV_CUDA_VISIBLE_DEVICES"] == gpus
    assert arguments[-len(INSIDE) :] == list(INSIDE)


@pytest.mark.usefixtures("stand_in")
def test_where_the_node_names_no_gpus_none_are_invented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    _, _, variables = executed(made(recipe(), gpus=2).argv)

    assert "APPTAINERENV_CUDA_VISIBLE_DEVICES" not in variables


def test_setup_lines_run_before_the_command_in_the_same_process(stand_in: Path) -> None:
    module = [f"export PATH={stand_in}:$PATH  # as a module does", "export LOADED='a b'"]
    wrapped = in_login_shell(module, ("apptainer", "x y", "$HOME"))

    became, arguments, variables = executed(wrapped)

    assert became
    assert arguments == ["x y", "$HOME"]
    assert variables["LOADED"] == "a b"


def test_a_setup_line_that_fails_ends_the_step() -> None:
    wrapped = in_login_shell(["false", "true"], ("echo", "started"))

    ended = subprocess.run(wrapped, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "started" not in ended.stdout


def test_without_setup_lines_the_command_is_left_alone() -> None:
    assert in_login_shell((), ("a", "b")) == ("a", "b")
