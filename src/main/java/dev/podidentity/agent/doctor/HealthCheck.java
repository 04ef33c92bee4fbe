package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.outbound.CallFailure;
import java.util.List;

/** Checks the probes of the running agent. */
final class HealthCheck implements Check {

    private final AgentHttp agent;

    HealthCheck(AgentHttp agent) {
        this.agent = agent;
    }

    @Override
    public String name() {
        return "health";
    }

    @Override
    public List<Finding> examine() {
        try {
            if (!agent.get("/healthz").ok()) {
                return List.of(Finding.fail("The agent's liveness probe fails", "Read its log"));
            }
            ApiAnswer ready = agent.get("/readyz");
            return List.of(ready.ok()
                    ? Finding.ok("The agent is alive and ready")
                    : Finding.fail("The agent is alive, but " + ready.body().toString().strip(), "Read its log"));
        } catch (CallFailure failure) {
            return List.of(Finding.failed(failure));
        }
    }
}
