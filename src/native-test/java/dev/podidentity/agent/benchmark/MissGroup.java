package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Tokens that are new to the agent, while EKS Auth is slow. */
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

    /** Plots what a cache miss takes in addition to the call that it waits for. */
    @Override
    public List<Plot> plots(Results results) {
        List<Plot.Case> cases = new ArrayList<>();
        for (int delay : DELAYS) {
            String label = Spread.number(delay, 0) + " ms,\n";
            cases.add(new Plot.Case(Plot.Place.of(label + "p50"), variant(delay), Measure.P50, delay));
            cases.add(new Plot.Case(Plot.Place.of(label + "p99"), variant(delay), Measure.P99, delay));
        }
        return List.of(Plot.of(
                "misses", "Time that a miss adds to the call to EKS Auth", "time that EKS Auth takes", "ms", Plot.Form.BARS,
                name(), results, cases));
    }

    private static String variant(int delay) {
        return "EKS Auth takes " + Spread.number(delay, 0) + " ms, " + TOKENS + " tokens, " + AT_ONCE + " clients";
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
                recorder.add(variant(delay), bench.summary(clients.ask(agent.port(), tokens)));
            }
        } finally {
            bench.eksAuth().delay(0);
        }
    }
}
