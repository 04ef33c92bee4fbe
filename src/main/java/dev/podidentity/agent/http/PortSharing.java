package dev.podidentity.agent.http;

import dev.podidentity.agent.network.SharedPort;
import dev.podidentity.agent.network.SharedPort.Listening;
import dev.podidentity.agent.network.SharedPort.State;
import io.vertx.core.Future;
import io.vertx.core.Vertx;

/** Who listens where a listener of this agent does or will. Futures complete on the event loop. */
interface PortSharing {

    /** Whether this agent, which does not, could listen there; fails if it cannot be found out. */
    Future<State> state();

    /** Who listens there, where this agent does; fails if it cannot be found out. */
    Future<Listening> look();

    /** Has new connections go to the socket with a number; as {@link SharedPort#steer} does. */
    Future<Boolean> steer(int number);

    /** What the kernel says. A port that is still to be chosen is nobody else's. */
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
