# cmake -DINPUT=FILE -DOUTPUT=FILE.cc -DHEADER=PATH -DNAME=kName -DNAMESPACE=a::b -P embed.cmake
# Writes a source file that defines `const std::string_view NAMESPACE::NAME` as the text of INPUT.
file(READ "${INPUT}" text)
string(FIND "${text}" ")embedded\"" clash)
if(NOT clash EQUAL -1)
  message(FATAL_ERROR "${INPUT}: holds the end mark of the raw string literal")
endif()
# A compiler need not take more than 64 KiB; these do.
file(WRITE "${OUTPUT}" "#pragma GCC diagnostic ignored \"-Woverlength-strings\"
#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n
extern const std::string_view ${NAME};\nconst std::string_view ${NAME} = R\"embedded(${text})embedded\";\n\n}  // namespace ${NAMESPACE}\n")
