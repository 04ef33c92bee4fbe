package dev.podidentity.agent.badday;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.badday.History.Sharing;
import dev.podidentity.agent.badday.Schedule.Phase;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ScheduleTest {

    private static final Set<Trouble> ALL = EnumSet.allOf(Trouble.class);

    static LongStream seeds() {
        return LongStream.range(0, 50);
    }

    private static List<Phase> phases(long seed, boolean endings) {
        Schedule schedule = new Schedule(seed, ALL);
        return Stream.generate(() -> schedule.next(endings)).limit(60).toList();
    }

    @Test
    void theSameSeedGivesTheSameTroubles() {
        assertThat(phases(1, true)).isEqualTo(phases(1, true)).isNotEqualTo(phases(2, true));
        assertThat(new Schedule(1, ALL).each()).isEqualTo(new Schedule(1, ALL).each());
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void allKindsComeOneToThreeAtATime(long seed) {
        List<Phase> phases = phases(seed, true);

        assertThat(phases).allSatisfy(phase -> assertThat(phase.troubles()).hasSizeBetween(1, 3).doesNotHaveDuplicates());
        assertThat(phases).flatExtracting(Phase::troubles).containsAll(ALL);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void eachKindOnceMeansOnceWithAProcessOfEachKind(long seed) {
        List<Phase> phases = new Schedule(seed, ALL).each();

        assertThat(phases).flatExtracting(Phase::troubles).containsExactlyInAnyOrderElementsOf(ALL);
        assertThat(phases.stream().map(Phase::sharing).flatMap(Optional::stream))
                .containsExactly(Sharing.POD, Sharing.SERVICE_ACCOUNT);
        assertThat(phases.get(0).sharing()).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void nothingEndsTheLastProcess(long seed) {
        assertThat(phases(seed, false)).allSatisfy(phase -> {
            assertThat(phase.troubles()).doesNotContain(Trouble.TERMINATED, Trouble.KILLED, Trouble.LITTLE_MEMORY);
            assertThat(phase.sharing()).isEmpty();
        });
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void troublesOfOneKindDoNotComeTogether(long seed) {
        Set<Trouble> ofEksAuth = EnumSet.range(Trouble.HANGING, Trouble.EXPIRING);
        Stream.of(phases(seed, true), new Schedule(seed, ALL).each()).flatMap(List::stream).forEach(phase -> {
            assertThat(phase.troubles()).filteredOn(ofEksAuth::contains).hasSizeLessThan(2);
            assertThat(phase.troubles()).isNotEqualTo(List.of(Trouble.NO_DESCRIPTORS, Trouble.CLOCK_JUMPS));
        });
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void whatTheMachineCannotDoIsLeftOut(long seed) {
        Set<Trouble> possible = EnumSet.complementOf(EnumSet.of(Trouble.CLOCK_JUMPS, Trouble.LITTLE_MEMORY));
        Schedule schedule = new Schedule(seed, possible);

        assertThat(schedule.each()).flatExtracting(Phase::troubles).containsExactlyInAnyOrderElementsOf(possible);
        assertThat(Stream.generate(() -> schedule.next(true)).limit(60).toList())
                .flatExtracting(Phase::troubles).containsOnlyElementsOf(possible);
    }
}
