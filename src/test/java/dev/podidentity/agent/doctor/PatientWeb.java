package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.outbound.CallFailure;
import java.time.Duration;

/** Real calls that may take as long as a busy machine needs. */
final class PatientWeb implements Web, AutoCloseable {

    private final VertxWeb web = new VertxWeb();

    @Override
    public ApiAnswer ask(Ask ask) throws CallFailure {
        return web.ask(new Ask(
                ask.method(), ask.url(), ask.headers(), ask.body(), ask.route(), Duration.ofMinutes(2), ask.callee()));
    }

    @Override
    public void close() {
        web.close();
    }
}
