package dev.podidentity.agent.memory;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.testing.FakeTime;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class IdleHeapTest {

    private static final long LIVE = 2_000_000;

    private final FakeTime time = new FakeTime();
    private long used = LIVE + 5_000_000;
    private int collections;
    private final IdleHeap heap = new IdleHeap(time, () -> used, () -> {
        collections++;
        used = LIVE;
    });

    @BeforeEach
    void start() {
        heap.start();
    }

    @Test
    void collectsTheGarbageOfTheStart() {
        time.advance(IdleHeap.INTERVAL);

        assertThat(collections).isEqualTo(1);
    }

    @Test
    void collectsNothingWhenThereIsNothingToGain() {
        time.advance(IdleHeap.INTERVAL);

        used = LIVE + IdleHeap.WORTH_BYTES - 1;
        time.advance(IdleHeap.INTERVAL.multipliedBy(10));

        assertThat(collections).isEqualTo(1);
    }

    @Test
    void collectsOnceWhatABurstHasLeftBehind() {
        // Given
        time.advance(IdleHeap.INTERVAL);

        // When
        used = LIVE + 4_000_000;
        time.advance(IdleHeap.INTERVAL);

        // Then
        assertThat(collections).as("while the burst may continue").isEqualTo(1);
        time.advance(IdleHeap.INTERVAL);
        assertThat(collections).as("when the burst is over").isEqualTo(2);
        time.advance(IdleHeap.INTERVAL.multipliedBy(10));
        assertThat(collections).as("when there is nothing left to collect").isEqualTo(2);
    }

    @Test
    void collectsWhatTricklesInWhenItHasBecomeMuch() {
        // Given
        time.advance(IdleHeap.INTERVAL);

        // When
        long times = IdleHeap.WORTH_BYTES / IdleHeap.IDLE_BYTES;
        for (int i = 0; i < times; i++) {
            assertThat(collections).isEqualTo(1);
            used += IdleHeap.IDLE_BYTES;
            time.advance(IdleHeap.INTERVAL);
        }

        // Then
        assertThat(collections).isEqualTo(2);
    }

    @Test
    void leavesAnAgentAloneThatIsAtWork() {
        // Given
        time.advance(IdleHeap.INTERVAL);

        // When
        for (int i = 0; i < 100; i++) {
            used += IdleHeap.IDLE_BYTES + 1;
            time.advance(IdleHeap.INTERVAL);
        }

        // Then
        assertThat(collections).isEqualTo(1);
    }

    @Test
    void takesACollectionThatCameBetweenForWork() {
        // Given
        time.advance(IdleHeap.INTERVAL);
        used = LIVE + 4_000_000;
        time.advance(IdleHeap.INTERVAL);

        // When
        used = LIVE + 3_000_000;
        time.advance(IdleHeap.INTERVAL);

        // Then
        assertThat(collections).isEqualTo(1);
    }
}
