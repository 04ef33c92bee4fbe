package dev.podidentity.agent.startup;

import com.oracle.svm.core.annotate.Alias;
import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;

/**
 * Compares the keys of resources with plain code. At startup the native executable looks up some dozens of resources, and
 * would interpret the generated comparison of a record. docs/decisions/0007-footprint.md has the figures.
 */
@TargetClass(className = "com.oracle.svm.core.jdk.Resources", innerClass = "ModuleInstanceResourceKey")
final class PlainResourceKey {

    @Alias
    private Module module;

    @Alias
    private String resource;

    private PlainResourceKey() {}

    @Substitute
    @Override
    public boolean equals(Object other) {
        return other instanceof PlainResourceKey key && module == key.module && resource.equals(key.resource);
    }
}
