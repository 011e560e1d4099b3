# The programs: the server, the worker that holds a device, and the client for a shell.
file(GLOB app_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/app/*.cc)
add_executable(edge_model_server ${app_sources})
target_compile_definitions(edge_model_server PRIVATE EMS_VERSION="${PROJECT_VERSION}")
target_link_libraries(edge_model_server PRIVATE
  ems_grpc ems_rest ems_devices CLI11::CLI11 PkgConfig::SYSTEMD)
target_link_options(edge_model_server PRIVATE -Wl,--as-needed)
install(TARGETS edge_model_server RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

add_executable(edge_model_client src/programs/edge_model_client.cc)
set_source_files_properties(src/client/client.cc PROPERTIES COMPILE_DEFINITIONS EMS_VERSION="${PROJECT_VERSION}")
target_link_libraries(edge_model_client PRIVATE ems_client)
target_link_options(edge_model_client PRIVATE -Wl,--as-needed)
install(TARGETS edge_model_client RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
