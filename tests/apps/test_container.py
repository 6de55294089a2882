"""What a container does before its first input: the SDK's own entry, given the definition that was deployed.

It imports the class by the name that Modal was told, makes it with the parameter, enters it and calls its methods.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import modal
import pytest
from modal._partial_function import _find_callables_for_obj, _PartialFunctionFlags
from modal._runtime.user_code_imports import import_class_service, import_single_function_service
from modal_proto import api_pb2
from tests.support import tiny
from tests.support.deploying import taking_deployments

from beacon_app import settings
from beacon_cli.operations import deploying


@pytest.fixture
def definitions(monkeypatch: pytest.MonkeyPatch) -> dict[str, api_pb2.Function]:
    """What is deployed of the American app, with the environment that its containers have."""
    with taking_deployments(monkeypatch) as workspace:
        deploying.deploy(deploying.chosen(["us"]), lambda _: None, secret=None, download=False)
    (key,) = workspace.functions["Model.*"].secret_ids
    for name, value in workspace.secrets[key].env_dict.items():
        monkeypatch.setenv(name, value)
    return workspace.functions


@pytest.mark.usefixtures("transformers")
@pytest.mark.parametrize("name", list(settings.GPU_OF))
def test_a_container_finds_enters_and_calls_its_class(
    definitions: dict[str, api_pb2.Function], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The definition leads the SDK's container entry to the class; before and after a snapshot it is entered."""
    tiny.make(tmp_path, card=settings.MODELS[0])
    monkeypatch.setenv("BEACON_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(modal.experimental, "stop_fetching_inputs", lambda: None)
    definition = definitions[f"{name}.*"]
    service: Any = import_class_service(
        definition,
        api_pb2.Object(object_id="fu-1", function_handle_metadata=_handle(definition)),
        "cs-1",
        None,  # type: ignore[arg-type]  # nothing is asked of Modal
        None,
        (),
        {"model": "llama3.2-1b"},
    )
    instance = service.user_cls_instance
    monkeypatch.setenv("MODAL_TASK_ID", "ta-photographed")
    _enter(instance, _PartialFunctionFlags.ENTER_PRE_SNAPSHOT)
    monkeypatch.setenv("MODAL_TASK_ID", "ta-restored")
    _enter(instance, _PartialFunctionFlags.ENTER_POST_SNAPSHOT)
    methods = service.get_finalized_functions(definition, None)
    for method in ("generate", "health"):
        assert list(methods[method].supported_output_formats) == [api_pb2.DATA_FORMAT_CBOR]
    answer = methods["generate"].callable("what is France ?", max_tokens=4, temperature=0)
    assert (answer["status"], answer["container"], answer["from_snapshot"]) == ("success", "ta-restored", True)
    assert (answer["region"], answer["cold_start"]) == ("us", True)


@pytest.mark.parametrize("name", ["run_inference", "health", "download"])
def test_a_container_finds_its_function(definitions: dict[str, api_pb2.Function], name: str) -> None:
    """The definition leads the SDK's container entry to the function."""
    service = import_single_function_service(definitions[name], None)
    (found,) = service.get_finalized_functions(definitions[name], None).values()  # type: ignore[arg-type]
    assert found.callable.__name__ == name


def _enter(instance: Any, flag: int) -> None:
    methods: dict[str, Callable[[], None]] = _find_callables_for_obj(instance, flag)
    assert len(methods) == 1
    for method in methods.values():
        method()


def _handle(definition: api_pb2.Function) -> api_pb2.FunctionHandleMetadata:
    handle = api_pb2.FunctionHandleMetadata(function_name=definition.function_name)
    handle.class_parameter_info.CopyFrom(definition.class_parameter_info)
    for name in definition.method_definitions:
        handle.method_handle_metadata[name].CopyFrom(api_pb2.FunctionHandleMetadata(function_name=name))
    return handle
