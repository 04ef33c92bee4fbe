package dev.podidentity.agent.credentials;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class FetchSlotsTest {

    /** A token with which a flight counts as one mebibyte. */
    private static final int MIB = 1024 * 1024 - 1024;

    private final FetchSlots slots = new FetchSlots(2);
    private final List<String> ran = new ArrayList<>();

    @Test
    void runsCallsAtOnceWhileThereAreSlots() {
        // Given
        slots.acquire("x", call("x1"));
        // When
        slots.acquire("y", call("y1"));
        // Then
        assertThat(ran).containsExactly("x1", "y1");
    }

    @Test
    void letsTheOnesBeyondWaitForASlot() {
        // Given
        acquire("x", 1, 4);
        List<String> atFirst = List.copyOf(ran);
        // When
        slots.release();
        // Then
        assertThat(atFirst).containsExactly("x1", "x2");
        assertThat(ran).containsExactly("x1", "x2", "x3");
    }

    @Test
    void keepsSlotsThatNobodyWaitsFor() {
        // Given
        acquire("x", 1, 2);
        slots.release();
        slots.release();
        // When
        acquire("x", 3, 5);
        // Then
        assertThat(ran).containsExactly("x1", "x2", "x3", "x4");
    }

    @Test
    void letsSourcesTakeTurns() {
        // Given
        acquire("x", 1, 5);
        acquire("y", 1, 2);
        acquire("z", 1, 1);
        // When
        release(6);
        // Then
        assertThat(ran).containsExactly("x1", "x2", "x3", "y1", "z1", "x4", "y2", "x5");
    }

    @Test
    void servesOneSourceInItsOrder() {
        // Given
        acquire("x", 1, 6);
        // When
        release(4);
        // Then
        assertThat(ran).containsExactly("x1", "x2", "x3", "x4", "x5", "x6");
    }

    @Test
    void delaysASourceWithThousandsOnlyItself() {
        // Given
        acquire("greedy", 1, 5000);
        acquire("modest", 1, 1);
        // When
        release(2);
        // Then
        assertThat(ran).containsExactly("greedy1", "greedy2", "greedy3", "modest1");
    }

    @Test
    void doesNotRunACallThatWasWithdrawn() {
        // Given
        acquire("x", 1, 2);
        Runnable withdrawn = call("withdrawn");
        slots.acquire("x", withdrawn);
        slots.acquire("x", call("x3"));
        // When
        slots.withdraw("x", withdrawn);
        release(2);
        // Then
        assertThat(ran).containsExactly("x1", "x2", "x3");
    }

    @Test
    void keepsTheSlotOfACallThatWasWithdrawnAlone() {
        // Given
        acquire("x", 1, 2);
        Runnable withdrawn = call("withdrawn");
        slots.acquire("y", withdrawn);
        slots.withdraw("y", withdrawn);
        slots.release();
        // When
        slots.acquire("z", call("z1"));
        slots.acquire("z", call("z2"));
        // Then
        assertThat(ran).containsExactly("x1", "x2", "z1");
    }

    @Test
    void ignoresTheWithdrawalOfACallThatHasRun() {
        // Given
        Runnable ranAlready = call("x1");
        slots.acquire("x", ranAlready);
        // When
        slots.withdraw("x", ranAlready);
        slots.withdraw("unknown", ranAlready);
        slots.acquire("x", call("x2"));
        slots.acquire("x", call("x3"));
        // Then
        assertThat(ran).containsExactly("x1", "x2");
    }

    @Test
    void boundsWhatOneSourceHolds() {
        // Given
        admit("x", 8);
        // When
        boolean more = slots.admit("x", 1);
        boolean other = slots.admit("y", MIB);
        // Then
        assertThat(more).isFalse();
        assertThat(other).isTrue();
    }

    @Test
    void boundsWhatAllSourcesHold() {
        // Given
        for (String source : List.of("a", "b", "c", "d")) {
            admit(source, 8);
        }
        // When
        boolean large = slots.admit("e", MIB);
        boolean small = slots.admit("e", 4096);
        // Then
        assertThat(large).isFalse();
        assertThat(small).as("what each source may hold in any case").isTrue();
    }

    @Test
    void admitsAgainWhatHasLeft() {
        // Given
        admit("x", 8);
        slots.leave("x", MIB);
        // When
        boolean fits = slots.admit("x", MIB);
        boolean fitsNot = slots.admit("x", 1);
        // Then
        assertThat(fits).isTrue();
        assertThat(fitsNot).isFalse();
    }

    @Test
    void countsNothingForWhatItDidNotAdmit() {
        // Given
        for (String source : List.of("a", "b", "c")) {
            admit(source, 8);
        }
        admit("d", 7);
        // When
        for (int i = 0; i < 100; i++) {
            slots.admit("d", 2 * MIB);
        }
        // Then
        assertThat(slots.admit("d", MIB)).isTrue();
    }

    @Test
    void isEmptyAfterAllHaveLeft() {
        // Given
        for (String source : List.of("a", "b", "c", "d")) {
            admit(source, 8);
        }
        for (String source : List.of("a", "b", "c", "d")) {
            for (int i = 0; i < 8; i++) {
                slots.leave(source, MIB);
            }
        }
        // When
        admit("a", 8);
        admit("e", 8);
        // Then
        assertThat(slots.admit("a", 1)).isFalse();
        assertThat(slots.admit("f", 8 * MIB)).isTrue();
    }

    private void admit(String source, int mebibytes) {
        for (int i = 0; i < mebibytes; i++) {
            assertThat(slots.admit(source, MIB)).isTrue();
        }
    }

    private void acquire(String source, int from, int to) {
        for (int i = from; i <= to; i++) {
            slots.acquire(source, call(source + i));
        }
    }

    private void release(int times) {
        for (int i = 0; i < times; i++) {
            slots.release();
        }
    }

    /** A lambda that captures is a new object each time, as the flights' are. */
    private Runnable call(String name) {
        return () -> ran.add(name);
    }
}
