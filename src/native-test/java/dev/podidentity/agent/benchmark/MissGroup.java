package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.util.List;

/** Tokens that the agent has not seen, while EKS Auth takes its time. */
final class MissGroup implements Group {

    private static final List<Integer> DELAYS = List.of(5, 50, 300, 1_200);
    private static final int TOKENS = 80;
    private static final int AT_ONCE = 8;

    @Override
    public String name() {
        return "misses";
    }

    @Override
    public String title() {
        return "Misses";
    }

    @Override
    public List<Measure> measures() {
        return List.of(Measure.P50, Measure.P99, Measure.RETRIES, Measure.FAILED, Measure.CALLS);
    }

    @Override
    public void measure(Contender contender, Bench bench, Recorder recorder) throws IOException, InterruptedException {
        try (RunningAgent agent = bench.starter(contender).serving(bench.tokens().first(1).get(0));
                Clients clients = new Clients(AT_ONCE)) {
            clients.ask(agent.port(), bench.tokens().fresh(TOKENS));
            for (int delay : DELAYS) {
                List<String> tokens = bench.tokens().fresh(TOKENS);
                bench.eksAuth().delay(delay);
                bench.eksAuth().resetCalls();
                recorder.add(
                        "EKS Auth takes " + Spread.number(delay, 0) + " ms, " + TOKENS + " tokens, " + AT_ONCE + " clients",
                        bench.summary(clients.ask(agent.port(), tokens)));
            }
        } finally {
            bench.eksAuth().delay(0);
        }
    }
}
