package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.Callee;
import dev.podidentity.agent.doctor.Web.Ask;
import dev.podidentity.agent.doctor.Web.Route;
import dev.podidentity.agent.outbound.CallFailure;
import java.net.URI;
import java.util.Map;

/** Calls the agent on this node, through the loopback address. */
final class AgentHttp {

    private final Web web;
    private final AgentSettings settings;

    AgentHttp(Web web, AgentSettings settings) {
        this.web = web;
        this.settings = settings;
    }

    /** @param path on the probe port, which serves probes, metrics and the debug routes */
    ApiAnswer get(String path) throws CallFailure {
        String where = "127.0.0.1:" + settings.probePort();
        return web.ask(Ask.get(
                URI.create("http://" + where + path),
                Map.of(),
                Route.DIRECT,
                new Callee("The agent at " + where, "start it, or pass the right --probe-port", "")));
    }
}
