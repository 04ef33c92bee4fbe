package dev.podidentity.agent.config;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Describes a setting to its users, in plain text. {@code --help} prints it, and {@code docs/configuration.md} repeats it
 * verbatim.
 */
@Documented
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.METHOD)
public @interface Description {

    /** Returns one or more complete sentences. */
    String value();
}
