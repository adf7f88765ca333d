"""A node under Flower's deployment engine: it takes messages of its own SuperNode, and runs no app that came with them.

Stock SuperNodes install the bundle that a SuperLink hands over and start a process for each message: whoever runs the
SuperLink could ship code into a bank, and what a run keeps in memory would be gone at the next message. With
`flower-supernode --isolation process` nobody but who knows its secret executes tasks (flwr 1.41.0, its Runtime API,
which this is the only module to speak); here the node's resident process does, with the app that is installed with it.

What comes this way is coarse: that a run begins. A SuperNode asks its SuperLink every 3 seconds, so the run's own
messages pass by the node channel (`engines.channel`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode, SubStatus
from flwr.proto.runtime_pb2 import AcquireTaskRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.retry import make_simple_http_retry_invoker
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supernode.runtime.run_clientapp import pull_task_input, push_message, push_task_output

from federated.engines.seat import RunSeat
from federated.errors import TrainingFailed
from federated.protocols.core.messages import Content, answering, named_app

log = logging.getLogger(__name__)
ACQUIRE = frozenset({"/flwr.proto.Runtime/AcquireTask"})
# How long between two looks for a task, and after a SuperNode that does not answer.
LOOK_S, AGAIN_S = 0.2, 2.0


def attending_app(name: str, begin: Callable[[bytes, str], None]) -> ClientApp:
    """What a node answers over its SuperNode: who it is, and that it takes part in a run of the named operator.

    Nothing of the run passes here: its messages have to come from that operator, over the node channel.
    """
    app = named_app(name)

    @app.query("attend")
    @answering
    def attend(content: Content, _: Context) -> Content:
        run, operator = content.points("run"), content.text("operator")
        if len(run) != 16:
            raise TrainingFailed("a run is named by 16 bytes")
        begin(run, operator)
        return Content()

    return app


class Attendant:
    """Executes the tasks of the SuperNode at `address` (host:port, loopback) with `app`, until it is stopped."""

    def __init__(self, app: ClientApp, address: str, secret: bytes) -> None:
        self._app, self._address = app, address
        self._tasks = self._client(
            "SuperExec", SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods=ACQUIRE)
        )

    def attend(self, stopped: threading.Event, say: Callable[[str], None]) -> None:
        """Take one task after the other. A SuperNode that does not answer is asked again; that is said once."""
        away = False
        while not stopped.is_set():
            try:
                worked = self._one()
            except Exception as error:  # whatever a message is, the next one is answered
                if not away:
                    say(f"the SuperNode at {self._address} does not answer: {error}")
                away = True
                stopped.wait(AGAIN_S)
                continue
            if away:
                say(f"the SuperNode at {self._address} answers")
            away = False
            if not worked:
                stopped.wait(LOOK_S)
        self._tasks.close()

    def _one(self) -> bool:
        """Execute a task, if there is one."""
        found = self._tasks.AcquireTask(AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP]))
        if not found.HasField("task") or not found.token:
            return False
        client = self._client("flwr-clientapp", RuntimeTokenHttpInterceptor(found.token))
        try:
            # The bundle comes along, and is left alone.
            message, context, _, _ = pull_task_input(client)
            try:
                reply = self._app(message, context)
            except Exception as error:  # whatever a message makes it do, the next one is answered
                log.exception("a message of the SuperNode could not be answered")
                reason = f"{type(error).__name__}: the node's own log says why"
                reply = Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=message)
            push_message(client, reply, context)
            push_task_output(client, context, SubStatus.COMPLETED, "")
        finally:
            client.close()
        return True

    def _client(
        self, component: str, who: SuperExecAuthHttpInterceptor | RuntimeTokenHttpInterceptor
    ) -> RuntimeHttpClient:
        # Between two processes of one organisation, on loopback: tasks are for who knows the secret.
        retrying = make_simple_http_retry_invoker()
        retrying.max_tries = 1
        return RuntimeHttpClient.from_server_address(
            server_address=self._address,
            insecure=True,
            root_certificates=None,
            interceptors=[RuntimeVersionHttpInterceptor(component_name=component), who],
            retry_invoker=retrying,
        )


def attendant(name: str, seat: Callable[[], RunSeat], address: str, secret: bytes) -> Attendant:
    """A node's attendant; `seat` gives what takes part in runs, once one begins."""
    return Attendant(attending_app(name, lambda run, operator: seat().begin(run, operator)), address, secret)
