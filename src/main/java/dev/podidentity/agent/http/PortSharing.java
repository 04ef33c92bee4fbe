package dev.podidentity.agent.http;

import dev.podidentity.agent.network.SharedPort;
import dev.podidentity.agent.network.SharedPort.Listening;
import dev.podidentity.agent.network.SharedPort.State;
import io.vertx.core.Future;
import io.vertx.core.Vertx;

/** Determines which processes listen on an address of this agent. Futures complete on the event loop. */
interface PortSharing {

    /** Returns whether this agent could listen there, if it does not yet; fails if this cannot be determined. */
    Future<State> state();

    /** Returns which processes listen there in addition to this agent; fails if this cannot be determined. */
    Future<Listening> look();

    /** Directs new connections to the socket with a number; see {@link SharedPort#steer}. */
    Future<Boolean> steer(int number);

    /** Asks the kernel. A port that the kernel is still to choose is not shared. */
    static PortSharing of(Vertx vertx, String host, int port) {
        SharedPort shared = new SharedPort(host, port);
        return new PortSharing() {

            @Override
            public Future<State> state() {
                return port == 0 ? Future.succeededFuture(State.FREE) : vertx.executeBlocking(shared::state, false);
            }

            @Override
            public Future<Listening> look() {
                return port == 0
                        ? Future.succeededFuture(new Listening(0, 0))
                        : vertx.executeBlocking(shared::look, false);
            }

            @Override
            public Future<Boolean> steer(int number) {
                return vertx.executeBlocking(() -> shared.steer(number), false);
            }
        };
    }
}
