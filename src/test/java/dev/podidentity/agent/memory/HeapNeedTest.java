package dev.podidentity.agent.memory;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HeapNeedTest {

    private static final long MIB = 1024 * 1024;
    /** Less than the maximum heap with which the native executable is built, which is 48 MiB. */
    private static final long BUILT_WITH = 32 * MIB;

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2000, 2048})
    void theDefaultCacheFitsTheHeapThatTheExecutableIsBuiltWith(int cacheSize) {
        assertThat(HeapNeed.of(cacheSize).beyond(BUILT_WITH)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"2049, -Xmx33m", "3000, -Xmx47m", "20000, -Xmx313m", "2147483647, -Xmx33554432m"})
    void aLargerOneNeedsAFlag(int cacheSize, String flag) {
        assertThat(HeapNeed.of(cacheSize).beyond(BUILT_WITH)).contains(flag);
    }

    @Test
    void theFlagIsEnough() {
        assertThat(HeapNeed.of(3000).beyond(47 * MIB)).isEmpty();
    }
}
