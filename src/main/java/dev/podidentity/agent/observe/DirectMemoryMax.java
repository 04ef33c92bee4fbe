package dev.podidentity.agent.observe;

import com.oracle.svm.core.annotate.Alias;
import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;

/**
 * What {@code -R:MaxDirectMemorySize} allows. Netty would ask the JDK by reflection, is refused in a native executable, and
 * takes the heap's maximum instead.
 */
@TargetClass(DirectMemory.class)
final class DirectMemoryMax {

    private DirectMemoryMax() {}

    @Substitute
    static double max() {
        return Vm.maxDirectMemory();
    }

    @TargetClass(className = "jdk.internal.misc.VM")
    private static final class Vm {

        private Vm() {}

        @Alias
        static native long maxDirectMemory();
    }
}
