package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** Many clients with one token that is new to the agent. */
final class CoalescingGroup implements Group {

    private static final int CLIENTS = 200;
    private static final int EKS_AUTH_MILLIS = 300;
    private static final int ROUNDS = 5;
    private static final double NANOS_PER_MILLI = 1e6;

    @Override
    public String name() {
        return "coalescing";
    }

    @Override
    public String title() {
        return "200 clients with one new token, EKS Auth takes 300 ms";
    }

    @Override
    public List<Measure> measures() {
        return List.of(Measure.CALLS, Measure.AFTER_P50, Measure.AFTER_P99, Measure.RETRIES, Measure.FAILED);
    }

    @Override
    public void measure(Contender contender, Bench bench, Recorder recorder) throws IOException, InterruptedException {
        bench.eksAuth().delay(EKS_AUTH_MILLIS);
        try (RunningAgent agent = bench.starter(contender).serving(bench.tokens().first(1).get(0));
                Clients clients = new Clients(CLIENTS)) {
            // The first round is the warm-up.
            for (int round = 0; round <= ROUNDS; round++) {
                String token = bench.tokens().fresh(1).get(0);
                bench.eksAuth().resetCalls();
                List<Clients.Served> all = clients.ask(agent.port(), Collections.nCopies(CLIENTS, token));
                if (round > 0) {
                    recorder.add("from the end of the last call to the answer", after(all, bench));
                }
            }
        } finally {
            bench.eksAuth().delay(0);
        }
    }

    private static Map<Measure, Double> after(List<Clients.Served> all, Bench bench) throws IOException {
        Map<Measure, Double> values = new EnumMap<>(bench.summary(all));
        long end = bench.eksAuth().lastEnd();
        List<Double> after = all.stream()
                .filter(Clients.Served::served)
                .map(served -> (served.ended() - end) / NANOS_PER_MILLI)
                .toList();
        if (!after.isEmpty()) {
            values.put(Measure.AFTER_P50, Spread.percentile(after, 50));
            values.put(Measure.AFTER_P99, Spread.percentile(after, 99));
        }
        return values;
    }
}
