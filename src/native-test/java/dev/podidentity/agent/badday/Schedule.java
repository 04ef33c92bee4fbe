package dev.podidentity.agent.badday;

import dev.podidentity.agent.badday.History.Sharing;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;

/**
 * Schedules faults: one to three at once, chosen at random, and each kind as often as the others. Processes are stopped
 * during the first part of a day; the last process runs through the rest, so that its resource usage can be compared.
 */
public final class Schedule {

    private static final Set<Trouble> ENDING = EnumSet.of(Trouble.TERMINATED, Trouble.KILLED, Trouble.LITTLE_MEMORY);
    /** EKS Auth can have only one of these faults at a time. */
    private static final Set<Trouble> OF_EKS_AUTH = EnumSet.range(Trouble.HANGING, Trouble.EXPIRING);
    private static final int MOST = 3;

    /**
     * Faults that begin and end together.
     *
     * @param sharing what a process that starts in this phase shares, if one starts; the first process of a day shares by
     *     token
     */
    public record Phase(List<Trouble> troubles, Optional<Sharing> sharing) {}

    private final Random random;
    private final Set<Trouble> possible;
    private final Deque<Trouble> next = new ArrayDeque<>();
    private int started;

    /** @param possible the faults that this machine supports */
    public Schedule(long seed, Set<Trouble> possible) {
        this.random = new Random(seed);
        this.possible = EnumSet.copyOf(possible);
    }

    /** Returns the next phase. */
    public Phase next(boolean endings) {
        List<Trouble> troubles = new ArrayList<>();
        List<Trouble> notNow = new ArrayList<>();
        int count = 1 + random.nextInt(MOST);
        for (int looked = 0; troubles.size() < count && looked < Trouble.values().length; looked++) {
            Trouble candidate = take();
            if (ENDING.contains(candidate) && !endings) {
                continue;
            }
            if (fits(candidate, troubles)) {
                troubles.add(candidate);
            } else {
                notNow.add(candidate);
            }
        }
        notNow.forEach(next::addFirst);
        return phase(troubles);
    }

    /** Returns phases with each kind once, combined with another if they are compatible. */
    public List<Phase> each() {
        List<List<Trouble>> phases = new ArrayList<>();
        for (Trouble trouble : shuffled(OF_EKS_AUTH)) {
            phases.add(new ArrayList<>(List.of(trouble)));
        }
        // Gives each process some phases; also, only a process that starts notices the file within seconds.
        phases.get(phases.size() / 3).addAll(List.of(Trouble.KILLED, Trouble.HALF_WRITTEN_CREDENTIALS));
        phases.get(2 * phases.size() / 3).add(Trouble.TERMINATED);
        for (Trouble trouble : shuffled(possible)) {
            if (phases.stream().noneMatch(phase -> phase.contains(trouble))) {
                phases.stream()
                        .filter(phase -> fits(trouble, phase))
                        .min(Comparator.comparingInt(List::size))
                        .ifPresent(phase -> phase.add(trouble));
            }
        }
        return phases.stream().map(this::phase).toList();
    }

    private Phase phase(List<Trouble> troubles) {
        boolean start = troubles.contains(Trouble.TERMINATED) || troubles.contains(Trouble.KILLED);
        Sharing[] all = Sharing.values();
        return new Phase(List.copyOf(troubles), start ? Optional.of(all[++started % all.length]) : Optional.empty());
    }

    private Trouble take() {
        if (next.isEmpty()) {
            next.addAll(shuffled(possible));
        }
        return next.remove();
    }

    private List<Trouble> shuffled(Set<Trouble> troubles) {
        List<Trouble> shuffled = new ArrayList<>(troubles);
        Collections.shuffle(shuffled, random);
        return shuffled;
    }

    private static boolean fits(Trouble candidate, Collection<Trouble> troubles) {
        return !troubles.contains(candidate) && troubles.stream().allMatch(other -> together(candidate, other));
    }

    private static boolean together(Trouble one, Trouble other) {
        Set<Trouble> both = EnumSet.of(one, other);
        return !(OF_EKS_AUTH.containsAll(both)
                || ENDING.containsAll(both)
                // Changing the agent's clock needs a descriptor.
                || both.contains(Trouble.NO_DESCRIPTORS)
                        && (both.contains(Trouble.CLOCK_JUMPS) || !Collections.disjoint(both, ENDING)));
    }
}
